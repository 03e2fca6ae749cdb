"""``inspect --diagram``: an artifact's architecture as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.architecture import Architecture, Box, architecture
from edgeferry.app.architecture_layout import BOX_HEIGHT, BOX_WIDTH, Layout, lay_out
from edgeferry.app.layer_amounts import LayerAmounts, read_layer_amounts
from edgeferry.app.layer_profile import LayerNames
from edgeferry.app.templates import render
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_write_text
from edgeferry.registry import is_installed, missing_dependency

if TYPE_CHECKING:
    from edgeferry.app.inspection import Inspection
    from edgeferry.exporters.network import Network
    from edgeferry.runtimes.base import Description

_MARGIN, _TOP, _LEGEND = 20.0, 100.0, 900.0
_LETTERS = 24
"""That fit into a box."""
_READERS = {"tflite": "ai_edge_litert", "onnx": "onnx", "openvino": "openvino"}
_LEGEND_ENTRIES = {
    "int8": "runs in int8",
    "float": "runs in float",
    "unknown": "not told by the engine",
    "bare projection": "dashed: projection shortcut",
}


def check_diagram(path: Path, artifact_format: str) -> None:
    """Refuse a diagram that could not be drawn, before any work is done.

    Raises:
        UsageError: If it is not to be an ``.svg``.
        OutputError: If its folder is missing.
        MissingDependencyError: If a package that it needs is not installed.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError(f"cannot draw {path}", "A diagram is an .svg file")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    for module in ("jinja2", "igraph"):
        if not is_installed(module):
            raise missing_dependency("--diagram", (module,), "report")
    reader = _READERS.get(artifact_format)
    if reader is None:
        raise UsageError(f"nothing reads the architecture of {artifact_format} files")
    if not is_installed(reader):
        raise missing_dependency(f"reading {artifact_format} files", (reader,), "export")


def draw_diagram(found: Inspection, amounts: Path | None, path: Path) -> Architecture:
    """Draw an artifact's architecture.

    Args:
        found: The artifact, and what its engine executes; where that is not known, boxes are gray.
        amounts: Results that tell the error or the time of each layer, drawn as bars.
        path: An ``.svg`` file.

    Returns:
        What was drawn.

    Raises:
        UsageError: If the file is to be another, or the results are of something else.
        MissingDependencyError: If a package that it needs is not installed.
        OutputError: If it cannot be written.
    """
    from edgeferry.exporters.artifact_network import artifact_network

    artifact = found.artifact
    check_diagram(path, artifact.format)
    told = read_layer_amounts(amounts, artifact) if amounts else None
    network = artifact_network(artifact.path, artifact.format)
    drawn = architecture(network)
    picture = _Picture(drawn, lay_out(drawn), executed_in(network, found.description), told)
    atomic_write_text(path, render("diagram.svg.j2", picture.fields(artifact.path.name)))
    return drawn


def executed_in(network: Network, description: Description | None) -> dict[str, str]:
    """The precision that each layer ran in, by its name in the source."""
    names, found = LayerNames(network), dict[str, str]()
    for operation in description.operations if description else ():
        if (layer := names.layer(operation.name)) is not None:
            found.setdefault(layer, operation.precision)
    return found


@dataclass(frozen=True)
class _Picture:
    """What the template is filled with."""

    architecture: Architecture
    layout: Layout
    executed: Mapping[str, str]
    amounts: LayerAmounts | None

    def fields(self, name: str) -> dict[str, Any]:
        layout = self.layout
        return {
            "title": name,
            "summary": self.architecture.summary(),
            "width": round(max(layout.width + 2 * _MARGIN, _LEGEND)),
            "height": round(_TOP - layout.top + layout.height + 2 * _MARGIN),
            "margin": _MARGIN,
            "top": _TOP - layout.top,
            "legend": list(_LEGEND_ENTRIES.items()),
            "amount_text": self.amounts.title if self.amounts else "",
            "stages": [self._stage(each.stage) for each in layout.columns],
            "blocks": list(self._blocks()),
            "edges": list(self._edges()),
            "skips": list(self._skips()),
            "boxes": [self._box(position) for position in range(len(layout.centers))],
            "box_width": BOX_WIDTH,
            "box_height": BOX_HEIGHT,
        }

    def _stage(self, stage: int) -> dict[str, Any]:
        column = self.layout.columns[stage]
        extents = [box.extent for box in self.architecture.boxes if box.stage == stage]
        extent = next(filter(None, extents), None)
        return {
            "x": column.left - 8,
            "width": column.width + 16,
            "height": self.layout.height + 16,
            "text": f"{extent[0]}×{extent[1]}" if extent else "",
        }

    def _blocks(self) -> Iterator[dict[str, Any]]:
        """A frame for each residual block, around its layers and the addition."""
        members: dict[int, list[int]] = {}
        for skip in self.architecture.skips:
            end = self.architecture.boxes[skip.path[-1]]
            inside = [end.sources[0], end.sources[1], *skip.path[1:]]
            numbers = [self.architecture.boxes[each].block for each in inside]
            number = next(filter(None, numbers), None)
            if number is not None:
                members[number] = [skip.path[-1]]
        for position, box in enumerate(self.architecture.boxes):
            if box.block in members:
                members[box.block].append(position)
        for number, positions in members.items():
            yield self._frame(number, positions)

    def _frame(self, number: int, positions: list[int]) -> dict[str, Any]:
        centers = [self.layout.centers[each] for each in positions]
        left, right = min(x for x, _ in centers), max(x for x, _ in centers)
        top, bottom = min(y for _, y in centers), max(y for _, y in centers)
        layers = [self.architecture.boxes[each] for each in positions]
        return {
            "x": left - BOX_WIDTH / 2 - 4,
            "y": top - BOX_HEIGHT / 2 - 4,
            "width": right - left + BOX_WIDTH + 8,
            "height": bottom - top + BOX_HEIGHT + 8,
            "text": f"residual block {number}{self._total(layers)}",
        }

    def _total(self, layers: list[Box]) -> str:
        if self.amounts is None:
            return ""
        known = [self.amounts.of_layer.get(each.name, 0.0) for each in layers]
        return f": {self.amounts.title} {sum(known):.3g}{self.amounts.unit}"

    def _edges(self) -> Iterator[str]:
        skipping = {edge for skip in self.architecture.skips for edge in skip.edges()}
        for reader, box in enumerate(self.architecture.boxes):
            for source in box.sources:
                if (source, reader) not in skipping:
                    yield self.layout.path(source, reader)

    def _skips(self) -> Iterator[dict[str, Any]]:
        boxes = self.architecture.boxes
        for skip in self.architecture.skips:
            start, *between, end = (boxes[each].name for each in skip.path)
            through = f" through {', '.join(between)}" if between else ""
            yield {
                "text": f"skip connection from {start} to {end}{through}",
                "paths": [self.layout.path(*edge) for edge in skip.edges()],
            }

    def _box(self, position: int) -> dict[str, Any]:
        box, (x, y) = self.architecture.boxes[position], self.layout.centers[position]
        precision = self._precision(position)
        amount = self.amounts.of_layer.get(box.name) if self.amounts else None
        return {
            "x": x - BOX_WIDTH / 2,
            "y": y - BOX_HEIGHT / 2,
            "classes": f"{_css(box)} {_color(precision)}",
            "label": _short(box.name if box.weighted else f"{box.kind} {box.name}"),
            "text": ", ".join(filter(None, self._facts(box, precision, amount))),
            "bar": round(BOX_WIDTH * amount / self._largest(), 1) if amount and amount > 0 else 0,
        }

    def _precision(self, position: int) -> str:
        """Its own; of what was fused into another, that one's."""
        box = self.architecture.boxes[position]
        if box.name in self.executed or not box.sources or not self.executed:
            return self.executed.get(box.name, "")
        return self._precision(box.sources[-1])

    def _facts(self, box: Box, precision: str, amount: float | None) -> Iterator[str]:
        yield f"{box.name}: {box.kind}"
        yield precision
        yield f"{box.extent[0]}×{box.extent[1]}" if box.extent else ""
        if box.multiply_accumulates:
            yield f"{box.multiply_accumulates / 1e6:.1f} million multiply-accumulates"
        if self.amounts is not None and amount is not None:
            yield f"{self.amounts.title}: {amount:.3g}{self.amounts.unit}"

    def _largest(self) -> float:
        return max(self.amounts.of_layer.values()) if self.amounts else 1.0


def _css(box: Box) -> str:
    return f"layer {box.role} {box.kind}" if box.weighted else f"{box.role} {box.kind}"


def _color(precision: str) -> str:
    if precision in ("", "other"):
        return "unknown"
    return "int8" if precision == "int8" else "float"


def _short(name: str) -> str:
    """The end of a long name: what tells layers of one kind apart stands there."""
    return name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}"
