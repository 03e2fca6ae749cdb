"""Benchmark of one device: its groups, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.group_run import GroupRun, groups
from edgeferry.app.results import Result
from edgeferry.artifact import Artifact, artifact_files
from edgeferry.devices.client import Client, client_for
from edgeferry.devices.device import Device
from edgeferry.devices.job import Event, Job
from edgeferry.devices.measurement import Plan, Trial
from edgeferry.devices.profile import profile_named
from edgeferry.errors import DeviceError, DeviceLostError, EdgeferryError, MissingDependencyError

_PROOF = Plan(seconds=0, rounds=1, warm_up=0, picture_share=0)
"""One inference: all that an emulated device is asked for."""


class DeviceBenchmark:
    """Everything that is measured on one device.

    Args:
        device: Where.
        artifacts: What to measure.
        options: How.
        saved: Results of an earlier run, by artifact.
        lock: Held while events are taken in, since others look at the results meanwhile.
    """

    def __init__(
        self,
        device: Device,
        artifacts: Sequence[Artifact],
        options: BenchmarkOptions,
        saved: Mapping[Path, Result],
        lock: AbstractContextManager[Any],
    ) -> None:
        named = device.settings.profile
        self.device = device
        self._profile = profile_named(named) if named else None
        self._lost: EdgeferryError | None = None
        self._options = options
        self._lock = lock
        self._runs = [
            GroupRun(device.name, device.emulated, group, self._usable(group, saved))
            for group in groups(artifacts)
        ]

    def run(self) -> None:
        """Measure what is not yet known; an error of the device ends it and is kept."""
        try:
            with closing(client_for(self.device)) as client:
                client.prepare()
                for run in self._runs:
                    self._measure(client, run)
        except EdgeferryError as error:
            self._lost = error

    def results(self) -> Iterator[tuple[Artifact, Result]]:
        """What is known by now."""
        for run in self._runs:
            yield from run.results()

    def errors(self) -> dict[Path, EdgeferryError]:
        """What failed, by artifact; of a device that was lost, all that it did not get to."""
        known = {artifact.path for artifact, _ in self.results()}
        failed = {path: each for run in self._runs for path, each in run.errors.items()}
        lost = {
            artifact.path: self._lost
            for run in self._runs
            for artifact in run.artifacts
            if self._lost is not None and artifact.path not in known
        }
        return {**lost, **{path: self._explained(error) for path, error in failed.items()}}

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes of the device."""
        return {
            "name": self.device.name,
            "address": self.device.settings.address,
            "profile": self._profile.name if self._profile else None,
            "emulated": self.device.emulated,
            "facts": [
                {"group": run.format, "before": run.before, "after": run.after}
                for run in self._runs
                if run.before is not None
            ],
        }

    def known(self) -> int:
        """How many measurements are complete."""
        return sum(run.known() for run in self._runs)

    def is_complete(self) -> bool:
        """Whether everything that was asked for is known."""
        alone = self._options.plan().sustained > 0 and not self.device.emulated
        found = [result for _, result in self.results()]
        return len(found) == sum(len(run.artifacts) for run in self._runs) and not (
            alone and any(not _is_sustained(result) for result in found)
        )

    def unfinished(self) -> list[dict[str, Any]]:
        """Turns of artifacts that are not complete."""
        return [turn for run in self._runs for turn in run.unfinished()]

    def turns(self) -> tuple[int, int]:
        """How many turns are over, and of how many."""
        each = self._options.plan().rounds
        done = sum(run.turns(each) for run in self._runs)
        return done, each * sum(len(run.artifacts) for run in self._runs)

    def facts(self) -> Mapping[str, Any]:
        """Facts of the machine, the latest before a measurement."""
        return next((run.before for run in reversed(self._runs) if run.before), {})

    def _usable(
        self, group: Sequence[Artifact], saved: Mapping[Path, Result]
    ) -> dict[Path, Result]:
        """Saved results, if they are of all that were measured beside each other."""
        found = {each.path: saved[each.path] for each in group if each.path in saved}
        return found if len(found) == len(group) else {}

    def _measure(self, client: Client, run: GroupRun) -> None:
        for artifacts, job in self._jobs(run):

            def hear(event: Event, artifacts: Sequence[Artifact] = artifacts) -> None:
                with self._lock:
                    run.hear(artifacts, event)

            try:
                client.measure(job, hear)
            except DeviceLostError:
                raise
            except DeviceError as error:
                failed = {each.path: error for each in artifacts}
                with self._lock:
                    run.errors |= {path: failed[path] for path in failed.keys() - run.errors.keys()}

    def _jobs(self, run: GroupRun) -> Iterable[tuple[Sequence[Artifact], Job]]:
        """What is left to do, as the device can do it."""
        plan = self._options.plan()
        if self.device.emulated:
            for artifact in run.artifacts:
                if artifact.path not in run.saved:
                    trial = self._trial(artifact, self._installed_runtime(run.format))
                    yield [artifact], Job([trial], _PROOF, children=False)
        elif not run.saved:
            trials = [self._trial(each, self._options.runtime) for each in run.artifacts]
            yield run.artifacts, Job(trials, plan, self._options.tune)
        elif plan.sustained:
            left = [each for each in run.artifacts if not _is_sustained(run.saved[each.path])]
            if left:
                trials = [self._as_before(each, run.saved[each.path]) for each in left]
                yield left, Job(trials, replace(plan, rounds=0))

    def _trial(self, artifact: Artifact, runtime: str | None) -> Trial:
        options = self._options
        path, *_ = self.device.place(artifact_files(artifact.path))
        return Trial(
            path=path,
            runtime=runtime,
            threads=options.threads,
            execution=options.execution,
            engine_device=options.engine_device,
            settings=options.settings,
        )

    def _as_before(self, artifact: Artifact, saved: Result) -> Trial:
        """The trial of a saved result, with the options that were found then."""
        return replace(
            self._trial(artifact, saved.runtime),
            threads=saved.extra["threads"],
            settings=tuple(saved.extra["settings"].items()),
        )

    def _installed_runtime(self, model_format: str) -> str:
        """Put the engine for a format on a device that has none."""
        if self._profile is None:
            raise DeviceError(f"{self.device.name} has no profile that tells what runs there")
        runtime = self._options.runtime or next(
            iter(self._profile.runtimes_for(model_format)), None
        )
        if runtime is None:
            raise DeviceError(f"nothing runs {model_format} on {self._profile.title}")
        self.device.install(self._profile.requirements(runtime))
        return runtime

    def _explained(self, error: EdgeferryError) -> EdgeferryError:
        """A missing engine is to be installed on the device, not here."""
        if isinstance(error, MissingDependencyError) and self.device.transport != "local":
            remedy = f"Install it there, for {self.device.python}; a bundle brings it along"
            return MissingDependencyError(f"{self.device.name}: {error.problem}", remedy)
        return error


def _is_sustained(result: Result) -> bool:
    return result.extra.get("sustained") is not None
