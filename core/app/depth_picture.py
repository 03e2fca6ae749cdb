"""A picture of the error along the depth of a network, its residual blocks marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_path
from edgeferry.registry import is_installed, missing_dependency

if TYPE_CHECKING:
    from edgeferry.app.debugging import DebugReport
    from edgeferry.app.layer_errors import LayerError

_SUFFIXES = (".svg", ".png", ".pdf")
_NAMED = 5
"""Layers that are named in the picture: those that add most."""


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be drawn, before any work is done.

    Raises:
        UsageError: If its suffix is none that can be drawn.
        OutputError: If its folder is missing.
        MissingDependencyError: If matplotlib is not installed.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"cannot draw {path}", f"Known suffixes: {', '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    if not is_installed("matplotlib"):
        raise missing_dependency("--picture", ("matplotlib",), "report")


def draw_depth(report: DebugReport, path: Path) -> None:
    """Draw SQNR and error of every layer in order; the same bytes every time.

    Args:
        report: What was found.
        path: An ``.svg``, ``.png`` or ``.pdf`` file.
    """
    import matplotlib

    layers = sorted(report.layers, key=lambda each: each.position)
    settings: Any = {"svg.hashsalt": "edgeferry", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(settings), atomic_path(path) as temporary:
        figure = _figure(report, layers)
        kind = path.suffix[1:].lower()
        clock = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        figure.savefig(temporary, format=kind, metadata=clock)


def _figure(report: DebugReport, layers: Sequence[LayerError]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(8.0, 0.22 * len(layers)), 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    positions = [layer.position for layer in layers]
    above.plot(positions, [_decibels(layer) for layer in layers], marker="o", markersize=3)
    above.set_ylabel("SQNR, dB")
    above.set_title(f"{report.artifact.path.name} against {report.reference.path.name}")
    below.bar(positions, [layer.added for layer in layers], label="added by the layer")
    below.plot(positions, [layer.error for layer in layers], color="0.4", label="error, in all")
    below.set_ylabel("noise / signal, mean of the channels")
    below.set_xlabel("layer")
    below.legend(loc="upper right")
    for axes in (above, below):
        _mark_blocks(axes, layers)
    for layer in report.layers[:_NAMED]:
        below.annotate(
            layer.layer,
            (layer.position, max(layer.added, 0)),
            rotation=90,
            ha="center",
            va="bottom",
        )
    return figure


def _mark_blocks(axes: Any, layers: Sequence[LayerError]) -> None:
    for block, first, last in _spans(layers):
        shade = "0.93" if block % 2 else "0.86"
        axes.axvspan(first - 0.5, last + 0.5, color=shade, zorder=0, linewidth=0)
        middle = (first + last) / 2
        axes.annotate(
            str(block), (middle, 0.98), xycoords=("data", "axes fraction"), ha="center", va="top"
        )


def _spans(layers: Sequence[LayerError]) -> Iterator[tuple[int, int, int]]:
    """Number, first and last position of each residual block."""
    for block, members in groupby(layers, key=lambda each: each.block):
        positions = [layer.position for layer in members]
        if block is not None:
            yield block, positions[0], positions[-1]


def _decibels(layer: LayerError) -> float:
    return float("nan") if layer.sqnr_db is None else layer.sqnr_db
