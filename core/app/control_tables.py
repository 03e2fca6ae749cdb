"""What accuracy control tried, for humans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeferry.app.accuracy_control import NAMED, described
from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgeferry.app.accuracy_control import Attempt
    from edgeferry.app.export_options import ControlReport, ExportReport


def control_tables(report: ExportReport) -> list[RenderableType]:
    """What was tried for each artifact, and what each step cost."""
    shown: list[RenderableType] = []
    for name, control in report.controlled.items():
        table = empty_table("attempt", "top-1 %", "agree %", "drop", "KL", "MiB", "s", "")
        table.title, table.title_justify = name, "left"
        for column in table.columns[1:-1]:
            column.justify = "right"
        for attempt in control.attempts:
            table.add_row(*_cells(attempt, "kept" if attempt == control.chosen else ""))
        table.caption, table.caption_justify = _caption(control), "left"
        shown.append(table)
    return shown


def _cells(attempt: Attempt, mark: str) -> list[str]:
    result = attempt.result
    figures = (
        (result.top1, "{:.2f}"),
        (result.agreement, "{:.2f}"),
        (attempt.drop, "{:+.2f}"),
        (result.kl, "{:.4f}"),
        (result.size_bytes and result.size_bytes / 2**20, "{:.1f}"),
        (attempt.seconds, "{:.1f}"),
    )
    shown = [MISSING if value is None else form.format(value) for value, form in figures]
    return [described(attempt.method, attempt.recipe), *shown, mark]


def _caption(control: ControlReport) -> str | None:
    lines = [f"not possible: {failure}" for failure in control.failures]
    if control.sensitive:
        lines.append(f"most sensitive layers: {', '.join(control.sensitive[:NAMED])}")
    return "\n".join(lines) or None
