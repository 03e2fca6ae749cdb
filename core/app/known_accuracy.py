"""Accuracies that ``evaluate`` found, matched to artifacts by their digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.results import Result
from edgeferry.app.results_check import read_results
from edgeferry.errors import UsageError

Key = tuple[str, str | None]


@dataclass(frozen=True)
class Accuracy:
    """What is known of an artifact's accuracy.

    Attributes:
        top1: Percent of labeled pictures that are right; None without labels.
        drop: Points of top-1 below its reference; without labels the percent of pictures whose
            answer changed. None where there is no reference.
        labeled: Whether the drop is one of top-1.
    """

    top1: float | None
    drop: float | None
    labeled: bool

    def __str__(self) -> str:
        if self.drop is None:
            return f"top-1 {self.top1:.2f} %"
        if not self.labeled:
            return f"{self.drop:.2f} % of its answers differ from the source's"
        if self.drop <= 0:
            return f"top-1 {self.top1:.2f} %, nothing lost"
        return f"top-1 {self.top1:.2f} %, {self.drop:.2f} points lost"


class AccuracyTable:
    """What an evaluation found, by artifact.

    Args:
        document: What ``evaluate --json`` wrote.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        results = document["results"]
        self._known: dict[Key, Accuracy | None] = {
            (result["sha256"], result.get("weights_sha256")): _accuracy(result, results)
            for result in results
            if result.get("sha256")
        }

    def find(self, result: Result) -> Accuracy | None:
        """What is known of a measured artifact; None where nothing is, e.g. of another file."""
        return self._known.get((result.extra["sha256"], result.extra.get("weights_sha256")))


def read_accuracies(path: Path) -> AccuracyTable:
    """Read what ``evaluate --json`` wrote.

    Raises:
        UsageError: If it is no such file.
    """
    try:
        document = read_results(path)
        if document["tool"]["command"] not in ("evaluate", "demo"):
            raise ValueError(f"it is of {document['tool']['command']}")
        return AccuracyTable(document)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is not what evaluate wrote: {error}",
            "Make it: edgeferry evaluate OUT --images DIR --json FILE",
        ) from error


def _accuracy(result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Accuracy | None:
    own, agreement = result["top1"], result["agreement"]
    theirs = _reference_top1(result, results)
    if own is not None and theirs is not None:
        return Accuracy(own, theirs - own, labeled=True)
    if agreement is not None:
        return Accuracy(own, 100 - agreement, labeled=False)
    return None if own is None else Accuracy(own, None, labeled=True)


def _reference_top1(
    result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> float | None:
    """Top-1 of what an artifact was compared with: its own, if it is what others were."""
    name = result["reference"]
    if name is None:
        is_reference = any(each["reference"] == result["artifact"] for each in results)
        return result["top1"] if is_reference or result["precision"] == "fp32" else None
    found = [each["top1"] for each in results if each["artifact"] == name]
    return found[0] if len(found) == 1 else None
