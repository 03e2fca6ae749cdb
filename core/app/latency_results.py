"""What came of measuring an artifact on a device, as a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from edgeferry.app.layer_profile import engine_profile
from edgeferry.app.results import Result
from edgeferry.app.statistics import latency, ratio_of_medians
from edgeferry.artifact import Artifact
from edgeferry.devices.conditions import Mark, marks
from edgeferry.devices.measurement import Measurement, Slice
from edgeferry.devices.sensors import Reading

BeforeAfter = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
MINUTE = 60.0
_HIDDEN = {"p50_ms", "p90_ms", "p99_ms", "ratio_to_fp32", "ratio_to_fp32_low"}
_HIDDEN |= {"ratio_to_fp32_high", "load_ms", "first_ms", "throughput", "peak_rss_mb"}
_HIDDEN_EXTRA = {"min_ms", "mean_ms", "end_to_end_p50_ms", "energy_mj", "timings_ns"}
_HIDDEN_EXTRA |= {"end_to_end_ns", "warm_up", "readings", "profile"}
"""What a machine that only emulates a device must not be taken to tell of it."""


@dataclass(frozen=True)
class Measured:
    """Everything known of an artifact on one device.

    Attributes:
        artifact: The artifact.
        device: Name of the device.
        emulated: Whether its times say nothing of a real one.
        measurement: Its turns beside the others.
        beside: Those of the fp32 artifact of its group; None if it is that one, or there is none.
        facts: Of the machine, before and after; None where not told.
        sustained: Its turns alone; empty where it had none.
        tuned: What was compared to find its options; None where nothing was.
    """

    artifact: Artifact
    device: str
    emulated: bool
    measurement: Measurement
    beside: Measurement | None
    facts: BeforeAfter
    sustained: Sequence[Slice] = ()
    tuned: list[Any] | None = None
    digests: Mapping[str, str | None] = field(default_factory=dict)

    def result(self) -> Result:
        """The same keys as of every other command, and the benchmark's own."""
        own, extra = self._latencies(), self._own_keys()
        if self.measurement.run.summarized:
            own |= dict.fromkeys(("p90_ms", "p99_ms"))
            extra |= dict.fromkeys(("min_ms", "mean_ms"))
        if self.emulated:
            own = {key: None if key in _HIDDEN else value for key, value in own.items()}
            extra = {key: None if key in _HIDDEN_EXTRA else each for key, each in extra.items()}
        artifact = self.artifact
        return Result(
            artifact=artifact.path.name,
            format=artifact.format,
            precision=artifact.precision,
            size_bytes=artifact.size_bytes,
            extra=extra,
            **own,
        )

    def _doubts(self) -> list[Mark]:
        return doubts(self.facts, [*self.measurement.slices, *self.sustained])

    def _latencies(self) -> dict[str, Any]:
        rounds = self.measurement.rounds
        taken, run = latency(rounds), self.measurement.run
        typical = taken.p50 if run.summarized else taken.mean
        ratio = self.beside and ratio_of_medians(rounds, self.beside.rounds)
        return {
            "runtime": self.measurement.trial.runtime or run.engine,
            "p50_ms": taken.p50,
            "p90_ms": taken.p90,
            "p99_ms": taken.p99,
            "ratio_to_fp32": ratio.value if ratio else None,
            "ratio_to_fp32_low": ratio.low if ratio else None,
            "ratio_to_fp32_high": ratio.high if ratio else None,
            "load_ms": run.load_ms,
            "first_ms": run.first_ms,
            "throughput": 1000 * run.batch / typical,
            "peak_rss_mb": run.peak_rss_mb,
            "executed": run.executed,
            "ops": run.ops,
        }

    def _own_keys(self) -> dict[str, Any]:
        trial, run, slices = self.measurement.trial, self.measurement.run, self.measurement.slices
        taken = latency(self.measurement.rounds)
        return {
            "device": self.device,
            "emulated": self.emulated,
            "min_ms": taken.min,
            "mean_ms": taken.mean,
            "end_to_end_p50_ms": _median_ms(ns for each in slices for ns in each.pictures),
            "energy_mj": _energy(slices),
            "batch": run.batch,
            "engine": f"{run.engine} {run.version}",
            "engine_device": run.device,
            "threads": run.threads,
            "execution": trial.execution,
            "settings": dict(trial.settings),
            "beside": str(self.beside.trial) if self.beside else None,
            **self.digests,
            "warm_up": asdict(run.warm_up),
            "resident": run.resident,
            "marks": [] if self.emulated else [asdict(mark) for mark in self._doubts()],
            "timings_ns": [list(each.nanoseconds) for each in slices],
            "end_to_end_ns": [list(each.pictures) for each in slices],
            "readings": [_reading(each) for each in slices],
            "sustained": _sustained(self.sustained) if self.sustained else None,
            "tuned": self.tuned,
            "profile": run.layers and engine_profile(run.layers),
        }


def doubts(facts: BeforeAfter, turns: Iterable[Slice]) -> list[Mark]:
    """What makes figures doubtful.

    Args:
        facts: Of the machine, before and after.
        turns: What was measured between.
    """
    before, after = facts
    readings = [Reading(each.temperature_c, each.clock_mhz, each.throttled) for each in turns]
    return marks(before or {}, after or {}, readings)


def with_sustained(result: Result, slices: Sequence[Slice], doubtful: Sequence[Mark]) -> Result:
    """A result of an earlier run with the sustained run that it lacked.

    Args:
        result: The result.
        slices: Its turns alone.
        doubtful: What makes them doubtful; put to what was doubtful before.
    """
    known = {mark["name"]: mark for mark in result.extra["marks"]}
    known |= {mark.name: asdict(mark) for mark in doubtful}
    extra = {**result.extra, "sustained": _sustained(slices), "marks": list(known.values())}
    return replace(result, extra=extra)


def _sustained(slices: Sequence[Slice]) -> dict[str, Any]:
    """The curve over time, and how the last minute compares with the first.

    A run of less than two minutes is halved instead.
    """
    end = slices[-1].seconds
    span = min(MINUTE, end / 2)
    first = _median_ms(_within(slices, 0, span))
    last = _median_ms(_within(slices, end - span, end))
    return {
        "seconds": end,
        "first_p50_ms": first,
        "last_p50_ms": last,
        "last_to_first": last / first if first and last else None,
        "curve": [{**_reading(each), "p50_ms": _median_ms(each.nanoseconds)} for each in slices],
        "timings_ns": [list(each.nanoseconds) for each in slices],
    }


def _within(slices: Sequence[Slice], start: float, end: float) -> list[int]:
    """Timings of the slices that were over in a span of time; never none."""
    inside = [each for each in slices if start < each.seconds <= end]
    return [ns for each in inside or slices[:1] for ns in each.nanoseconds]


def _reading(turn: Slice) -> dict[str, Any]:
    told = ("seconds", "temperature_c", "clock_mhz", "throttled", "joules")
    return {name: getattr(turn, name) for name in told}


def _energy(slices: Sequence[Slice]) -> float | None:
    """Millijoules of the whole machine for one inference; None without a sensor."""
    known = [(each.joules, len(each.nanoseconds)) for each in slices if each.joules is not None]
    inferences = sum(count for _, count in known)
    return 1000 * sum(joules for joules, _ in known) / inferences if inferences else None


def _median_ms(nanoseconds: Iterable[int]) -> float | None:
    taken = list(nanoseconds)
    return median(taken) / 1e6 if taken else None
