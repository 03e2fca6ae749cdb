"""Latency and memory of artifacts on one or several devices, each beside its fp32 twin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.device_benchmark import DeviceBenchmark
from edgeferry.app.journal import Earlier, Journal
from edgeferry.app.known_accuracy import read_accuracies
from edgeferry.app.layer_profile import with_layer_names
from edgeferry.app.probe import check_all_whole
from edgeferry.app.results import Result, results_document
from edgeferry.app.verdict import Verdict, judge
from edgeferry.artifact import Artifact, find_artifacts
from edgeferry.devices.device import Device, DeviceSettings
from edgeferry.devices.known import resolve_device
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.registry import open_device
from edgeferry.errors import DeviceError, EdgeferryError, UsageError
from edgeferry.progress import Progress, silent

_TICK = 0.2
"""Seconds between two looks at the devices."""


@dataclass(frozen=True)
class BenchmarkReport:
    """What a benchmark found.

    Attributes:
        results: One per artifact and device, in the order given; raw timings are among their
            own keys.
        failures: Error text by what could not be measured.
        warnings: What makes figures doubtful.
        verdicts: One per device with results.
        devices: What is known of each device, with facts before and after.
        unfinished: Turns of artifacts that are not complete.
        complete: Whether everything that was asked for is known.
        asked: What was asked for.
        started: When, UTC, ISO 8601.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    verdicts: list[Verdict]
    devices: list[dict[str, Any]]
    unfinished: list[dict[str, Any]]
    complete: bool
    asked: Mapping[str, Any]
    started: str

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "started": self.started,
            "complete": self.complete,
            "asked": dict(self.asked),
            "devices": self.devices,
            "verdicts": [verdict.document() for verdict in self.verdicts],
            "unfinished": self.unfinished,
            "failures": dict(self.failures),
            "warnings": self.warnings,
        }
        return results_document("benchmark", self.results, notes)


def benchmark(
    paths: Sequence[str | Path],
    options: BenchmarkOptions,
    progress: Progress = silent,
    journal: Journal | None = None,
    earlier: Earlier | None = None,
) -> BenchmarkReport:
    """Measure artifacts, on several devices at once.

    Args:
        paths: Artifacts, or folders that hold them.
        options: How to measure, and where.
        progress: Told of each artifact.
        journal: Keeps what is known on disk meanwhile.
        earlier: An earlier run to go on from.

    Raises:
        EdgeferryError: If an artifact is damaged or was changed, or none can be measured.
    """
    artifacts = find_artifacts(paths)
    check_all_whole(artifacts)
    fleet = _Fleet(artifacts, options, earlier)
    with ExitStack() as stack:
        for settings in _settings(options):
            fleet.add(stack.enter_context(open_device(settings)))
        fleet.run(progress, journal)
    report = fleet.report(layer_names=True)
    if not report.results:
        raise fleet.error()
    return report


def _settings(options: BenchmarkOptions) -> list[DeviceSettings]:
    settings = [resolve_device(text) for text in dict.fromkeys(options.devices)]
    names = [each.name for each in settings]
    if len(set(names)) < len(names):
        raise UsageError(f"two of the devices have the same name: {', '.join(names)}")
    if options.benchmark_model:
        settings = [replace(each, benchmark_model=options.benchmark_model) for each in settings]
    return settings


class _Fleet:
    """All devices of a benchmark.

    Args:
        artifacts: What to measure.
        options: How.
        earlier: An earlier run to go on from.
    """

    def __init__(
        self, artifacts: Sequence[Artifact], options: BenchmarkOptions, earlier: Earlier | None
    ) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._started = earlier.started if earlier else now
        self._artifacts = artifacts
        self._options = options
        self._earlier = earlier
        self._accuracies = read_accuracies(options.accuracy) if options.accuracy else None
        self._members: list[DeviceBenchmark] = []
        self._lock = Lock()
        self._here = Lock()

    def add(self, device: Device) -> None:
        """Take in a device, with what an earlier run found on it."""
        member = DeviceBenchmark(device, self._artifacts, self._options, self._earlier, self._lock)
        self._members.append(member)

    def run(self, progress: Progress, journal: Journal | None) -> None:
        """Measure on all devices at once; each fails on its own."""
        with ThreadPoolExecutor(len(self._members)) as pool:
            pending = {pool.submit(self._run_one, member) for member in self._members}
            try:
                while pending:
                    done, pending = wait(pending, timeout=_TICK)
                    self._tell(progress)
                    self._save(journal)
                    for future in done:
                        future.result()
            finally:
                if pending:  # interrupted: wake what waits for a device, so that threads end
                    for member in self._members:
                        member.device.close()
                self._save(journal, now=True)

    def report(self, layer_names: bool = False) -> BenchmarkReport:
        """What is known by now, and what an earlier run knew beside it.

        Args:
            layer_names: Whether artifacts are read for the names of their layers, which would
                disturb what is being measured.
        """
        with self._lock:
            found = [known for member in self._members for known in member.results()]
            results = [with_layer_names(*each) if layer_names else each[1] for each in found]
            if self._earlier is not None:
                results += self._earlier.left_over(results, self._artifacts)
            devices = self._devices()
            return BenchmarkReport(
                results=results,
                failures=self._failures(),
                warnings=_warnings(results),
                verdicts=list(self._verdicts(results, devices)),
                devices=devices,
                unfinished=[turn for member in self._members for turn in member.unfinished()],
                complete=all(member.is_complete() for member in self._members),
                asked=self._options.asked(),
                started=self._started,
            )

    def error(self) -> EdgeferryError:
        """Why there is nothing."""
        errors = [error for member in self._members for error in member.errors().values()]
        problems = list(dict.fromkeys(error.problem for error in errors))
        if len(problems) == 1:
            return errors[0]
        return DeviceError("; ".join(problems) or "nothing was measured")

    def _run_one(self, member: DeviceBenchmark) -> None:
        """Run a device; those that are this very machine one after another."""
        here = isinstance(member.device, LocalDevice)
        with self._here if here else nullcontext():
            member.run()

    def _devices(self) -> list[dict[str, Any]]:
        """What is known of each device, those of the earlier run included."""
        found = [member.document() for member in self._members]
        names = {each["name"] for each in found}
        earlier = self._earlier.devices.values() if self._earlier else ()
        return [*found, *(each for each in earlier if each["name"] not in names)]

    def _tell(self, progress: Progress) -> None:
        for member in self._members:
            progress(f"measuring on {member.device.name}", *member.turns())

    def _save(self, journal: Journal | None, now: bool = False) -> None:
        known = sum(member.known() for member in self._members)
        if journal is not None and (now or journal.is_due(known)):
            journal.write(known, self.report().document())

    def _verdicts(
        self, results: Sequence[Result], devices: Iterable[Mapping[str, Any]]
    ) -> Iterator[Verdict]:
        for device in devices:
            own = [each for each in results if each.extra["device"] == device["name"]]
            facts = device["facts"][-1]["before"] if device["facts"] else {}
            if own:
                yield judge(device["name"], own, facts, self._options.budget, self._accuracies)

    def _failures(self) -> dict[str, str]:
        """What failed, by artifact; where there are several devices, by device too."""
        failures: dict[str, str] = {}
        for member in self._members:
            device = member.device.name
            for name, error in member.errors().items():
                alone = len(self._members) == 1 or name == device
                failures[name if alone else f"{device}: {name}"] = str(error)
        return failures


def _warnings(results: Iterable[Result]) -> list[str]:
    """What makes figures doubtful, and of which artifacts."""
    doubtful: dict[str, list[str]] = {}
    for result in results:
        for text in _doubts(result):
            doubtful.setdefault(text, []).append(result.artifact)
    return [f"{text}: {', '.join(names)}" for text, names in doubtful.items()]


def _doubts(result: Result) -> Iterator[str]:
    if result.extra["emulated"]:
        return
    prefix = "" if result.extra["device"] == "local" else f"{result.extra['device']}: "
    if not result.extra["warm_up"]["steady"]:
        yield f"{prefix}latencies were still moving after warming up"
    if not result.extra["resident"]:
        yield f"{prefix}memory did not hold these at once, so each round loaded them anew"
    if (profile := result.extra.get("profile")) and profile["problem"]:
        yield f"{prefix}layers were not timed: {profile['problem']}"
    for mark in result.extra["marks"]:
        yield f"{prefix}{mark['text']}"
