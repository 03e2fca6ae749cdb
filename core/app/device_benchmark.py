"""Benchmark of one device: its groups, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.group_run import GroupRun, groups
from edgeferry.app.journal import Earlier
from edgeferry.app.results import Result
from edgeferry.artifact import Artifact, artifact_files
from edgeferry.devices.client import Client, client_for
from edgeferry.devices.device import Device
from edgeferry.devices.job import Event, Job
from edgeferry.devices.measurement import Plan, Trial
from edgeferry.devices.profile import profile_named
from edgeferry.errors import (
    DeviceError,
    DeviceLostError,
    EdgeferryError,
    MissingDependencyError,
    described_error,
    rebuilt_error,
)

_PROOF = Plan(seconds=0, rounds=1, warm_up=0, picture_share=0)
"""A few inferences: all that an emulated device is asked for."""


class DeviceBenchmark:
    """Everything that is measured on one device.

    Args:
        device: Where.
        artifacts: What to measure.
        options: How.
        earlier: An earlier run to go on from.
        lock: Held while events are taken in, since others look at the results meanwhile.
    """

    def __init__(
        self,
        device: Device,
        artifacts: Sequence[Artifact],
        options: BenchmarkOptions,
        earlier: Earlier | None,
        lock: AbstractContextManager[Any],
    ) -> None:
        named = device.settings.profile
        self.device = device
        self._profile = profile_named(named) if named else None
        self._lost: EdgeferryError | None = None
        self._options = options
        self._plan = _PROOF if device.emulated else options.plan()
        self._lock = lock
        if earlier is not None:
            earlier.check_device(device.settings)
        self._runs = [self._group_run(group, earlier) for group in groups(artifacts)]

    def run(self) -> None:
        """Measure what is not yet known; an error of the device ends it and is kept."""
        try:
            with closing(client_for(self.device)) as client:
                client.prepare()
                for run in self._runs:
                    self._measure(client, run)
        except EdgeferryError as error:
            self._lost = error
        except Exception as error:  # whatever a device makes happen, the others go on
            self._lost = rebuilt_error(described_error(error, f"measuring on {self.device.name}"))

    def results(self) -> Iterator[tuple[Artifact, Result]]:
        """What is known by now."""
        for run in self._runs:
            yield from run.results()

    def errors(self) -> dict[str, EdgeferryError]:
        """What failed, by the artifact's name.

        Of a device that was lost, all that is not complete; if everything is, the device itself.
        """
        failed = {path.name: each for run in self._runs for path, each in run.errors.items()}
        explained = {name: self._explained(error) for name, error in failed.items()}
        if self._lost is None:
            return explained
        lost = dict.fromkeys(self._incomplete(), self._lost)
        return {**lost, **explained} or {self.device.name: self._lost}

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes of the device."""
        return {
            "name": self.device.name,
            "address": self.device.settings.address,
            "profile": self.device.settings.profile,
            "emulated": self.device.emulated,
            "facts": [facts for run in self._runs if (facts := run.facts())],
        }

    def known(self) -> int:
        """How many measurements are complete."""
        return sum(run.known() for run in self._runs)

    def is_complete(self) -> bool:
        """Whether everything that was asked for is known."""
        return not self._incomplete()

    def unfinished(self) -> list[dict[str, Any]]:
        """Turns of artifacts that are not complete."""
        return [turn for run in self._runs for turn in run.unfinished()]

    def turns(self) -> tuple[int, int]:
        """How many turns are over, and of how many."""
        rounds = self._plan.rounds
        alone = self._plan.alone().rounds if self._plan.sustained else 0
        done = sum(run.turns(rounds, alone) for run in self._runs)
        return done, (rounds + alone) * sum(len(run.artifacts) for run in self._runs)

    def _incomplete(self) -> list[str]:
        complete = {
            artifact.path
            for artifact, result in self.results()
            if not self._plan.sustained or _is_sustained(result)
        }
        artifacts = [artifact for run in self._runs for artifact in run.artifacts]
        return [each.path.name for each in artifacts if each.path not in complete]

    def _group_run(self, group: Sequence[Artifact], earlier: Earlier | None) -> GroupRun:
        """A group, with its saved results if they are of all that were measured together."""
        name, emulated = self.device.name, self.device.emulated
        saved = earlier.saved(name, group) if earlier else {}
        if earlier is None or len(saved) < len(group):
            return GroupRun(name, emulated, group)
        return GroupRun(name, emulated, group, saved, earlier.facts(name, group))

    def _measure(self, client: Client, run: GroupRun) -> None:
        for artifacts in self._left(run):

            def hear(event: Event, artifacts: Sequence[Artifact] = artifacts) -> None:
                with self._lock:
                    run.hear(artifacts, event)

            try:
                client.measure(self._job(run, artifacts), hear)
            except DeviceLostError:
                raise
            except EdgeferryError as error:
                with self._lock:
                    for artifact in artifacts:
                        run.errors.setdefault(artifact.path, error)

    def _left(self, run: GroupRun) -> list[Sequence[Artifact]]:
        """What is still to be measured, cut as the device can do it."""
        if not run.saved:
            together = self.device.starts_children
            return [run.artifacts] if together else [[each] for each in run.artifacts]
        if not self._plan.sustained:
            return []
        left = [each for each in run.artifacts if not _is_sustained(run.saved[each.path])]
        return [left] if left else []

    def _job(self, run: GroupRun, artifacts: Sequence[Artifact]) -> Job:
        """What the agent is asked to do."""
        children = self.device.starts_children
        if run.saved:
            trials = [self._as_before(each, run.saved[each.path]) for each in artifacts]
            return Job(trials, replace(self._plan, rounds=0), children=children)
        emulated, runtime = self.device.emulated, self._options.runtime
        if emulated:
            runtime = self._installed_runtime(run.format)
        trials = [self._trial(each, runtime) for each in artifacts]
        return Job(trials, self._plan, self._options.tune and not emulated, children)

    def _trial(self, artifact: Artifact, runtime: str | None) -> Trial:
        options = self._options
        path, *_ = self.device.place(artifact_files(artifact.path))
        return Trial(
            path=path,
            runtime=runtime,
            threads=options.threads,
            execution=options.execution,
            engine_device=self._engine_device(),
            settings=options.settings,
        )

    def _engine_device(self) -> str | None:
        """The engine's device; a delegate of this machine by its whole path."""
        named = self._options.engine_device
        here = self.device.transport == "local" and named is not None and Path(named).is_file()
        return str(Path(str(named)).absolute()) if here else named

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
