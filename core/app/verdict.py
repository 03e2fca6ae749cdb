"""The verdict for a device: which artifact to ship, and whether int8 is faster there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgeferry.app.int8_finding import Int8Finding, int8_findings
from edgeferry.app.known_accuracy import Accuracy, AccuracyTable
from edgeferry.app.results import Result

DEFAULT_DROP = 1.0
"""Points of accuracy that may be lost where nothing is said, if accuracies are known."""


@dataclass(frozen=True)
class Budget:
    """What an artifact may cost.

    Attributes:
        latency_ms: Median latency at most, milliseconds.
        memory_mb: Peak memory at most, MiB.
        accuracy_drop: Points of accuracy below its reference at most.
    """

    latency_ms: float | None = None
    memory_mb: float | None = None
    accuracy_drop: float | None = None


@dataclass(frozen=True)
class Candidate:
    """One artifact with the options it was measured with.

    Attributes:
        result: What was measured.
        accuracy: What is known of its accuracy; None is nothing.
        reasons: Why it cannot be shipped; none if it can.
        doubts: What makes its figures doubtful.
    """

    result: Result
    accuracy: Accuracy | None
    reasons: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def latency_ms(self) -> float | None:
        """What it takes in the long run: the last minute's median, where it ran for long."""
        sustained = self.result.extra["sustained"]
        return sustained["last_p50_ms"] if sustained else self.result.p50_ms

    def document(self) -> dict[str, Any]:
        """Plain data."""
        result = self.result
        return {
            "artifact": result.artifact,
            "sha256": result.extra["sha256"],
            "format": result.format,
            "precision": result.precision,
            "runtime": result.runtime,
            "threads": result.extra["threads"],
            "settings": result.extra["settings"],
            "execution": result.extra["execution"],
            "p50_ms": result.p50_ms,
            "latency_ms": self.latency_ms,
            "peak_rss_mb": result.peak_rss_mb,
            "size_bytes": result.size_bytes,
            "accuracy_drop": self.accuracy.drop if self.accuracy else None,
            "fits": not self.reasons,
            "reasons": list(self.reasons),
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True)
class Verdict:
    """What to do on one device.

    Attributes:
        device: Its name.
        sentence: The verdict in plain words.
        ranking: Every artifact; those that fit first, the fastest first among them.
        int8: Whether int8 is faster, for each format.
    """

    device: str
    sentence: str
    ranking: tuple[Candidate, ...]
    int8: tuple[Int8Finding, ...]

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        best = self.ranking[0]
        return {
            "device": self.device,
            "sentence": self.sentence,
            "ship": None if best.reasons else best.result.artifact,
            "ranking": [candidate.document() for candidate in self.ranking],
            "int8": [asdict(finding) for finding in self.int8],
        }


def judge(
    device: str,
    results: Sequence[Result],
    facts: Mapping[str, Any],
    budget: Budget,
    accuracies: AccuracyTable | None,
) -> Verdict:
    """Say what to ship.

    Args:
        device: Name of the device.
        results: Of that device, at least one.
        facts: Of its machine.
        budget: What an artifact may cost.
        accuracies: What ``evaluate`` found; None where nothing is known.
    """
    emulated = any(result.extra["emulated"] for result in results)
    found = [_candidate(result, budget, accuracies) for result in results]
    ranking = tuple(sorted(found, key=_order))
    findings = () if emulated else tuple(int8_findings(results, facts))
    if emulated:
        sentence = f"{device} is emulated: everything ran, and how fast a real one is, is unknown."
    else:
        sentence = " ".join([_ship(device, ranking[0], accuracies), *map(str, findings)])
    return Verdict(device, sentence, ranking, findings)


def _candidate(result: Result, budget: Budget, accuracies: AccuracyTable | None) -> Candidate:
    accuracy = accuracies.find(result) if accuracies else None
    doubts = tuple(mark["name"] for mark in result.extra["marks"])
    candidate = Candidate(result, accuracy, (), doubts)
    return replace(candidate, reasons=tuple(_reasons(candidate, budget)))


def _reasons(candidate: Candidate, budget: Budget) -> list[str]:
    result, accuracy, reasons = candidate.result, candidate.accuracy, list[str]()
    if _over(candidate.latency_ms, budget.latency_ms):
        reasons.append(f"{candidate.latency_ms:.2f} ms is over {budget.latency_ms:g} ms")
    if _over(result.peak_rss_mb, budget.memory_mb):
        reasons.append(f"{result.peak_rss_mb:.0f} MiB is over {budget.memory_mb:g} MiB")
    limit = DEFAULT_DROP if budget.accuracy_drop is None else budget.accuracy_drop
    if accuracy is not None and _over(accuracy.drop, limit):
        reasons.append(f"{accuracy} is more than {limit:g} points")
    if budget.accuracy_drop is not None and (accuracy is None or accuracy.drop is None):
        reasons.append("its accuracy is unknown")
    return reasons


def _over(value: float | None, limit: float | None) -> bool:
    return limit is not None and value is not None and value > limit


def _order(candidate: Candidate) -> tuple[bool, float, int]:
    result = candidate.result
    latency = float("inf") if candidate.latency_ms is None else candidate.latency_ms
    return bool(candidate.reasons), latency, result.size_bytes or 0


def _ship(device: str, best: Candidate, accuracies: AccuracyTable | None) -> str:
    result = best.result
    if best.reasons:
        return f"{device}: nothing fits; the nearest is {result.artifact}: {best.reasons[0]}."
    threads = result.extra["threads"]
    options = "".join(f", {name}={value}" for name, value in result.extra["settings"].items())
    memory = "" if result.peak_rss_mb is None else f" and {result.peak_rss_mb:.0f} MiB"
    hint = " (--accuracy)" if accuracies is None else ""
    accuracy = str(best.accuracy) if best.accuracy else f"its accuracy is unknown{hint}"
    warm = " in the last minute of a long run" if result.extra["sustained"] else ""
    doubt = (
        f" The run is doubtful ({', '.join(best.doubts)}): measure again." if best.doubts else ""
    )
    return (
        f"{device}: ship {result.artifact} with {result.runtime}, {threads} "
        f"thread{'' if threads == 1 else 's'}{options}: {best.latency_ms:.2f} ms{warm}{memory}; "
        f"{accuracy}.{doubt}"
    )
