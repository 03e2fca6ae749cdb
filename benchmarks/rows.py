"""Rows of the comparison: ours beside another's, the ratio, and what was aimed at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from edgeferry.app.statistics import Ratio, Rounds, latency, ratio_of_medians
from edgeferry.devices.machine import machine_facts


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        subject: What is compared.
        case: Format, threads, picture and the like.
        ours: Our figure.
        theirs: The other's.
        unit: Of both.
        ratio: Ours over theirs, with its 95 % interval where there is one.
        goal: The ratio aimed at; None where none was set.
    """

    subject: str
    case: str
    ours: float
    theirs: float
    unit: str
    ratio: Ratio
    goal: float | None = None


def latencies(subject: str, case: str, ours: Rounds, theirs: Rounds, goal: float | None) -> Row:
    """A row of medians, milliseconds."""
    own, other = latency(ours).p50, latency(theirs).p50
    return Row(subject, case, own, other, "ms", ratio_of_medians(ours, theirs), goal)


def seconds(
    subject: str, case: str, ours: Sequence[float], theirs: Sequence[float], goal: float | None
) -> Row:
    """A row of medians of whole runs, each a round of its own."""
    rounds = [[[round(each * 1e9)] for each in side] for side in (ours, theirs)]
    ratio = ratio_of_medians(*rounds)
    if min(len(ours), len(theirs)) < 3:
        ratio = Ratio(ratio.value, float("nan"), float("nan"))
    return Row(subject, case, median(ours), median(theirs), "s", ratio, goal)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = ["| | case | ours | other | ratio [95 %] | goal |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = row.ratio
        known = ratio.low == ratio.low
        interval = f" [{ratio.low:.2f}, {ratio.high:.2f}]" if known else ""
        goal = "–" if row.goal is None else f"{row.goal:g}"
        figures = f"{row.ours:.4g} {row.unit} | {row.theirs:.4g} {row.unit}"
        lines.append(
            f"| {row.subject} | {row.case} | {figures} | {ratio.value:.3f}{interval} | {goal} |"
        )
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows with the machine they were measured on, as JSON."""
    content = {"machine": machine_facts(), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
