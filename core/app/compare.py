"""Two runs of ``evaluate`` or ``benchmark`` beside each other: what became worse."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from edgeferry.app.reading_limits import MOST_ROUNDS
from edgeferry.app.results import Result, results_document
from edgeferry.app.results_check import read_results
from edgeferry.app.statistics import Ratio, ratio_of_medians
from edgeferry.errors import UsageError

_SAME = ("artifact", "device", "runtime", "threads", "execution", "settings")
"""What two results must have in common to be of the same thing."""
_MACHINE = ("architecture", "processor", "isa", "board", "physical_cores")
"""Facts in which machines differ whose times must not be compared."""
_WAY_OUT = "Give what --json wrote of edgeferry evaluate, benchmark or demo"

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Limits:
    """What may become worse, and by how much; None is not limited.

    Attributes:
        latency: Percent that the median latency may grow.
        accuracy: Points that top-1 (agreement, where nothing is labeled) may fall.
    """

    latency: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Change:
    """One artifact in both runs.

    Attributes:
        new: Its result in the new run.
        old: The same in the old one, the common keys.
        latency: New over old median latency, with its 95 % interval where both runs kept their
            timings (NaN where they did not); None where it is not known or not comparable.
        drop: Points of top-1 lost, or of agreement where nothing is labeled; None is unknown.
        regressions: What became worse by more than the limits allow, in words.
    """

    new: Result
    old: Result
    latency: Ratio | None
    drop: float | None
    regressions: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two runs.

    Attributes:
        changes: The artifacts that are in both, in the new run's order.
        only_old: Names of those in the old run alone.
        only_new: The same of the new one.
        warnings: What was not compared, and why.
    """

    changes: tuple[Change, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    warnings: tuple[str, ...]

    def failures(self) -> dict[str, str]:
        """What broke a limit, by artifact."""
        return {
            each.new.artifact: "; ".join(each.regressions)
            for each in self.changes
            if each.regressions
        }

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes: the new results, each with how it compares."""
        notes = {
            "only_old": list(self.only_old),
            "only_new": list(self.only_new),
            "failures": self.failures(),
            "warnings": list(self.warnings),
        }
        return results_document("compare", map(_with_change, self.changes), notes)


def compare(old: Path, new: Path, limits: Limits) -> Comparison:
    """Compare two results documents.

    A latency has become worse if the whole 95 % interval of the ratio lies beyond the limit;
    where timings were not kept, if the ratio does. Accuracy is taken as measured: both runs
    judge the same pictures, so that what is hard in them cancels.

    Args:
        old: What ``--json`` wrote before.
        new: What it wrote now.
        limits: What may become worse.

    Raises:
        UsageError: If one is no results document, nothing is in both, or what is limited
            cannot be compared.
    """
    try:
        return _compared(old, new, limits)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{old} and {new} cannot be compared: {error!r:.200}", _WAY_OUT) from error


def _compared(old: Path, new: Path, limits: Limits) -> Comparison:
    before, after = _read(old), _read(new)
    olds = {_key(result): result for result in before["results"]}
    pairs = [(olds[key], each) for each in after["results"] if (key := _key(each)) in olds]
    if not pairs:
        raise UsageError(
            f"{old} and {new} have no artifact in common: "
            f"{_names(before['results'])} there, {_names(after['results'])} here",
            "Artifacts are matched by file name, device, engine, threads and settings",
        )
    unlike = {
        name: differing
        for name in {pair["device"] for _, pair in pairs if pair.get("device")}
        if (differing := _differing(_facts(before, name), _facts(after, name)))
    }
    changes = tuple(_change(*pair, limits, pair[1].get("device") in unlike) for pair in pairs)
    _require_compared(changes, limits, unlike)
    both = {_key(each) for _, each in pairs}
    return Comparison(
        changes,
        tuple(each["artifact"] for key, each in olds.items() if key not in both),
        tuple(each["artifact"] for each in after["results"] if _key(each) not in both),
        tuple(_warnings(changes, unlike)),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = dict(read_results(path))
        _names(document["results"])  # each has one
        return document
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", _WAY_OUT) from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{path} holds no results of edgeferry: {error!r:.200}"
        raise UsageError(problem, _WAY_OUT) from error


def _key(result: Data) -> str:
    return json.dumps([result.get(name) for name in _SAME], sort_keys=True)


def _names(results: Sequence[Data]) -> str:
    return ", ".join(dict.fromkeys(each["artifact"] for each in results)) or "nothing"


def _facts(document: Data, device: str) -> Data:
    """What is known of a device's machine; empty where nothing is."""
    devices = document.get("devices") or []
    found = [facts for each in devices if each["name"] == device for facts in each["facts"]]
    return (found[-1]["before"] or {}) if found else {}


def _differing(old: Data, new: Data) -> list[str]:
    return [name for name in _MACHINE if old.get(name) != new.get(name)]


def _change(old: Data, new: Data, limits: Limits, unlike: bool) -> Change:
    latency = None if unlike else _latency(old, new)
    drop = _drop(old, new)
    return Change(
        _result(new), _result(old), latency, drop, tuple(_regressions(latency, drop, limits))
    )


def _latency(old: Data, new: Data) -> Ratio | None:
    """The ratio of the medians told, with the interval that the timings give around it."""
    if not old.get("p50_ms") or not new.get("p50_ms"):
        return None
    value = new["p50_ms"] / old["p50_ms"]
    if not isfinite(value):
        return None
    own, other = new.get("timings_ns"), old.get("timings_ns")
    if not own or not other or max(len(own), len(other)) > MOST_ROUNDS:
        return Ratio(value, float("nan"), float("nan"))
    raw = ratio_of_medians(own, other, paired=False)
    return Ratio(value, value * raw.low / raw.value, value * raw.high / raw.value)


def _drop(old: Data, new: Data) -> float | None:
    for key in ("top1", "agreement"):
        if old.get(key) is not None and new.get(key) is not None:
            return float(old[key] - new[key])
    return None


def _regressions(latency: Ratio | None, drop: float | None, limits: Limits) -> Iterator[str]:
    if latency is not None and limits.latency is not None:
        known = _known(latency)
        if (latency.low if known else latency.value) > 1 + limits.latency / 100:
            interval = f" [{latency.low:.2f}, {latency.high:.2f}]" if known else ""
            yield (
                f"takes {latency.value:.2f}{interval} times as long; "
                f"{limits.latency:g} % more is allowed"
            )
    if drop is not None and limits.accuracy is not None and drop > limits.accuracy + 1e-9:
        yield f"lost {drop:.2f} points of accuracy; {limits.accuracy:g} are allowed"


def _known(ratio: Ratio) -> bool:
    """Whether it has an interval."""
    return not isnan(ratio.low)


def _require_compared(
    changes: Sequence[Change], limits: Limits, unlike: Mapping[str, Sequence[str]]
) -> None:
    """A gate that can see nothing must not pass."""
    if limits.latency is not None and all(each.latency is None for each in changes):
        machines = "; ".join(_unlike(*each) for each in unlike.items())
        raise UsageError(
            f"no latency can be compared: {machines or 'neither run, or only one, measured any'}",
            "Benchmark both on one machine, or leave --max-latency-regression out",
        )
    if limits.accuracy is not None and all(each.drop is None for each in changes):
        raise UsageError(
            "no accuracy can be compared: neither run, or only one, measured any",
            "Give what edgeferry evaluate wrote, or leave --max-accuracy-drop out",
        )


def _warnings(changes: Sequence[Change], unlike: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for device, differing in unlike.items():
        yield f"latency is not compared: {_unlike(device, differing)}"
    bare = [each.new.artifact for each in changes if each.latency and not _known(each.latency)]
    if bare:
        yield f"no timings were kept, so the ratio has no interval: {', '.join(bare)}"
    unequal = [each.new.artifact for each in changes if _unequal(each)]
    if unequal:
        yield f"accuracy was judged on another number of pictures: {', '.join(unequal)}"


def _unlike(device: str, differing: Sequence[str]) -> str:
    return f"the machines called {device} differ in {', '.join(differing)}"


def _unequal(change: Change) -> bool:
    return change.drop is not None and change.old.images != change.new.images


def _result(data: Data) -> Result:
    """The common keys, and what tells rows of one artifact apart."""
    common: dict[str, Any] = {
        each.name: data.get(each.name) for each in fields(Result) if each.name != "extra"
    }
    own = {name: data.get(name) for name in ("device", "threads", "execution")}
    return Result(**common, extra=own)


def _with_change(change: Change) -> Result:
    ratio = change.latency
    interval = ratio is not None and _known(ratio)
    told = {
        "old": {key: value for key, value in asdict(change.old).items() if key not in _BULKY},
        "latency_ratio": ratio.value if ratio else None,
        "latency_ratio_low": ratio.low if ratio and interval else None,
        "latency_ratio_high": ratio.high if ratio and interval else None,
        "accuracy_drop": change.drop,
        "regressions": list(change.regressions),
    }
    common = {each.name: getattr(change.new, each.name) for each in fields(Result)}
    return Result(**{**common, "extra": {**change.new.extra, **told}})


_BULKY = ("ops", "extra")
