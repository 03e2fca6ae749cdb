"""What ``debug`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.table import Table

    from edgeferry.app.debugging import DebugReport
    from edgeferry.app.layer_errors import LayerError

_FIGURES = ("depth", "block", "SQNR dB", "cosine", "saturated %", "error", "adds")
_BAR = 20
"""Characters of the longest bar."""


def layers_table(report: DebugReport) -> Table:
    """Every layer, the one that adds most error first."""
    table = empty_table(
        "",
        "layer",
        "kind",
        "depth",
        "block",
        "SQNR dB",
        "cosine",
        "saturated %",
        "error",
        "adds",
        "",
    )
    for column in table.columns[3:10]:
        column.justify = "right"
    largest = max((layer.added for layer in report.layers), default=0.0)
    for rank, layer in enumerate(report.layers, 1):
        bar = "█" * round(_BAR * max(0.0, layer.added) / largest) if largest > 0 else ""
        table.add_row(str(rank), *_cells(layer), bar)
    table.caption = (
        f"{report.artifact.path.name} against {report.reference.path.name} on {report.images} "
        "pictures; error: noise over signal, mean of the channels; adds: what its inputs had not"
    )
    return table


def _cells(layer: LayerError) -> list[str]:
    kind = layer.kind if layer.precision == "int8" else f"{layer.kind}, {layer.precision}"
    return [
        layer.layer,
        kind,
        str(layer.position),
        MISSING if layer.block is None else str(layer.block),
        MISSING if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}",
        MISSING if layer.cosine is None else f"{layer.cosine:.5f}",
        f"{layer.saturated:.4f}",
        f"{layer.error:.4f}",
        f"{layer.added:+.4f}",
    ]
