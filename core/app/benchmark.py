"""Latency and memory of artifacts on this machine, each beside its fp32 twin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeferry.app.results import Result, results_document
from edgeferry.app.statistics import latency, ratio_of_medians
from edgeferry.artifact import Artifact, find_artifacts, require_contract
from edgeferry.devices.machine import machine_facts
from edgeferry.devices.measurement import Measurement, Plan, Trial
from edgeferry.devices.rounds import measure_group
from edgeferry.errors import EdgeferryError, UsageError
from edgeferry.files import sha256_of
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.base import Execution
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime


@dataclass(frozen=True)
class BenchmarkOptions:
    """How to measure.

    Attributes:
        threads: Threads for one inference; None is one for each physical core.
        execution: ``float32``, or ``auto`` for what the engine would choose.
        runtime: Engine; None takes the first one installed for each format.
        device: Execution provider, delegate or OpenVINO device; None is the CPU.
        duration: Seconds of measuring for each artifact, warming up not counted.
    """

    threads: int | None = None
    execution: Execution = "float32"
    runtime: str | None = None
    device: str | None = None
    duration: float = 5.0

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads must be 1 or more, not {self.threads}")
        if not 0 <= self.duration < float("inf"):
            raise UsageError(f"cannot measure for {self.duration} seconds")


@dataclass(frozen=True)
class BenchmarkReport:
    """What a benchmark found.

    Attributes:
        results: One per artifact, in the order given; raw timings are among their own keys.
        failures: Error text by artifact that could not be measured.
        warnings: What makes figures doubtful.
        machine: Facts of the machine before the first measurement.
        started: When, UTC, ISO 8601.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    machine: Mapping[str, Any]
    started: str

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "started": self.started,
            "machine": dict(self.machine),
            "failures": dict(self.failures),
            "warnings": self.warnings,
        }
        return results_document("benchmark", self.results, notes)


@dataclass
class _Group:
    """Artifacts of one source, format and engine: the fp32 one is the others' measure."""

    artifacts: list[Artifact] = field(default_factory=list)

    def twin(self) -> Artifact | None:
        return next((each for each in self.artifacts if each.precision == "fp32"), None)


def benchmark(
    paths: Sequence[str | Path], options: BenchmarkOptions, progress: Progress = silent
) -> BenchmarkReport:
    """Measure artifacts, one group of format and source after another.

    Args:
        paths: Artifacts, or folders that hold them.
        options: How to measure.
        progress: Told each round.

    Raises:
        EdgeferryError: If an artifact is damaged, or none can be measured.
    """
    artifacts = find_artifacts(paths)
    started, facts = datetime.now(UTC).isoformat(timespec="seconds"), machine_facts()
    results: dict[Path, Result] = {}
    failures: dict[Path, EdgeferryError] = {}
    for group in _groups(artifacts):
        try:
            runtime = _runtime(group, options)
        except EdgeferryError as error:
            failures |= {artifact.path: error for artifact in group.artifacts}
            continue
        trials = [_trial(artifact, runtime, options) for artifact in group.artifacts]
        measured, failed = measure_group(trials, _plan(options), progress)
        failures |= failed
        results |= {each.path: result for each, result in _results(group, measured, options)}
    if not results:
        raise next(iter(failures.values()))
    return BenchmarkReport(
        results=[results[each.path] for each in artifacts if each.path in results],
        failures={path.name: str(error) for path, error in failures.items()},
        warnings=_warnings(results.values()),
        machine=facts,
        started=started,
    )


def _groups(artifacts: Iterable[Artifact]) -> Iterable[_Group]:
    groups: dict[tuple[str, str, Path], _Group] = {}
    for artifact in artifacts:
        contract = require_contract(artifact)
        key = (artifact.format, contract.source.sha256, artifact.path.parent)
        groups.setdefault(key, _Group()).artifacts.append(artifact)
    return groups.values()


def _runtime(group: _Group, options: BenchmarkOptions) -> str:
    name = choose_runtime(group.artifacts[0].format, options.runtime)
    RUNTIMES.require(name)
    return name


def _trial(artifact: Artifact, runtime: str, options: BenchmarkOptions) -> Trial:
    return Trial(artifact.path, runtime, options.threads, options.execution, options.device)


def _plan(options: BenchmarkOptions) -> Plan:
    return Plan(seconds=options.duration, warm_up=max(2.0, options.duration))


def _results(
    group: _Group, measured: Sequence[Measurement], options: BenchmarkOptions
) -> Iterable[tuple[Artifact, Result]]:
    by_path = {measurement.trial.path: measurement for measurement in measured}
    twin = group.twin()
    beside = by_path.get(twin.path) if twin else None
    for artifact in group.artifacts:
        own = by_path.get(artifact.path)
        if own is not None:
            yield artifact, _result(artifact, own, None if own is beside else beside, options)


def _result(
    artifact: Artifact, own: Measurement, beside: Measurement | None, options: BenchmarkOptions
) -> Result:
    taken = latency(own.rounds)
    ratio = None if beside is None else ratio_of_medians(own.rounds, beside.rounds)
    return Result(
        artifact=artifact.path.name,
        format=artifact.format,
        precision=artifact.precision,
        runtime=own.trial.runtime,
        p50_ms=taken.p50,
        p90_ms=taken.p90,
        p99_ms=taken.p99,
        ratio_to_fp32=ratio.value if ratio else None,
        ratio_to_fp32_low=ratio.low if ratio else None,
        ratio_to_fp32_high=ratio.high if ratio else None,
        load_ms=own.load_ms,
        first_ms=own.first_ms,
        throughput=1000 * own.batch / taken.mean,
        size_bytes=artifact.size_bytes,
        peak_rss_mb=own.peak_rss_mb,
        executed=own.executed,
        ops=own.ops,
        extra={
            "min_ms": taken.min,
            "mean_ms": taken.mean,
            "batch": own.batch,
            "engine": f"{own.engine} {own.version}",
            "engine_device": own.device,
            "threads": own.threads,
            "execution": options.execution,
            "beside": beside.trial.path.name if beside else None,
            "sha256": sha256_of(artifact.path),
            "warm_up": asdict(own.warm_up),
            "resident": own.resident,
            "timings_ns": [list(taken) for taken in own.rounds],
        },
    )


def _warnings(results: Iterable[Result]) -> list[str]:
    restless = [each.artifact for each in results if not each.extra["warm_up"]["steady"]]
    crowded = [each.artifact for each in results if not each.extra["resident"]]
    warnings = []
    if restless:
        warnings.append(f"latencies were still moving after warming up: {', '.join(restless)}")
    if crowded:
        warnings.append(
            f"memory did not hold these at once, so each round loaded them anew: "
            f"{', '.join(crowded)}"
        )
    return warnings
