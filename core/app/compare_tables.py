"""How two runs compare, for humans."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from edgeferry.app.compare import Change, Comparison
from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLUMNS = ("artifact", "device", "p50 ms", "ratio [95 %]", "top-1 %", "agree %", "MiB", "")


def comparison_tables(comparison: Comparison) -> list[RenderableType]:
    """Old and new figures of each artifact, and what is in one run only."""
    table = empty_table(*_COLUMNS)
    for change in comparison.changes:
        table.add_row(*_cells(change))
    shown: list[RenderableType] = [table]
    for names, where in ((comparison.only_old, "old"), (comparison.only_new, "new")):
        if names:
            shown.append(f"only in the {where} run: {', '.join(names)}")
    return shown


def _cells(change: Change) -> list[str]:
    old, new = change.old, change.new
    return [
        new.artifact,
        str(new.extra["device"] or MISSING),
        _pair(old.p50_ms, new.p50_ms),
        _ratio(change),
        _pair(old.top1, new.top1),
        _pair(old.agreement, new.agreement),
        _pair(_mib(old.size_bytes), _mib(new.size_bytes)),
        "; ".join(change.regressions),
    ]


def _ratio(change: Change) -> str:
    ratio = change.latency
    if ratio is None:
        return MISSING
    known = not isnan(ratio.low)
    return f"{ratio.value:.3f}" + (f" [{ratio.low:.3f}, {ratio.high:.3f}]" if known else "")


def _mib(size: int | None) -> float | None:
    return None if size is None else size / 2**20


def _pair(old: float | None, new: float | None) -> str:
    if old is None and new is None:
        return MISSING
    return " → ".join(MISSING if each is None else f"{each:.2f}" for each in (old, new))
