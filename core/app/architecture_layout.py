"""Where the boxes of an architecture stand: a column for each stage, layers from the top down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeferry.app.architecture import Architecture

Point = tuple[float, float]
Edge = tuple[int, int]

BOX_WIDTH, BOX_HEIGHT = 150.0, 20.0
_ROW, _LANE, _GAP = 34.0, 160.0, 60.0
"""Distances between rows, between boxes side by side, and between stages."""
_ABOVE = 12.0
"""Between two connections that pass over whole stages."""
_ENTRY, _TURN = -8.0, 10.0
"""Height at which a stage is entered, and how far from a box a connection turns."""


@dataclass(frozen=True)
class Column:
    """One stage's place.

    Attributes:
        stage: Its number.
        left: Its left edge.
        width: Its width.
        height: Of its boxes, from the top.
    """

    stage: int
    left: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """A drawing's geometry, in pixels; boxes begin at height 0.

    Attributes:
        centers: Of the boxes, in their order.
        bends: Points that each connection within a column passes, by its source and reader.
        columns: The stages.
        top: How far connections reach above the boxes; not above 0.
    """

    centers: tuple[Point, ...]
    bends: dict[Edge, tuple[Point, ...]]
    columns: tuple[Column, ...]
    top: float

    @property
    def width(self) -> float:
        """To the right edge of the last column."""
        return self.columns[-1].left + self.columns[-1].width

    @property
    def height(self) -> float:
        """To the lowest box's bottom."""
        return max(column.height for column in self.columns)

    def path(self, source: int, reader: int) -> str:
        """A connection as SVG path data."""
        if (source, reader) in self.bends:
            return _downward(
                [self.centers[source], *self.bends[source, reader], self.centers[reader]]
            )
        return self._across(self.centers[source], self.centers[reader])

    def _across(self, start: Point, end: Point) -> str:
        """From one column to another: above those between, and from above into a top box."""
        x, y = start[0] + BOX_WIDTH / 2, start[1]
        column = next(each for each in self.columns if end[0] < each.left + each.width)
        passed = sum(x < each.left < column.left for each in self.columns)
        lane = -_ABOVE * (1 + passed) if passed else y
        way = f"M{x:g} {y:g} H{x + _TURN:g} V{lane:g} H{column.left - _GAP / 2:g}"
        if end[1] == BOX_HEIGHT / 2:
            return f"{way} V{_ENTRY:g} H{end[0]:g} V0"
        return f"{way} V{end[1]:g} H{end[0] - BOX_WIDTH / 2:g}"


def lay_out(architecture: Architecture) -> Layout:
    """Place the boxes of an architecture, each stage by Sugiyama's method.

    Args:
        architecture: At least one box.
    """
    stages: dict[int, list[int]] = defaultdict(list)
    for position, box in enumerate(architecture.boxes):
        stages[box.stage].append(position)
    centers: dict[int, Point] = {}
    bends: dict[Edge, tuple[Point, ...]] = {}
    columns: list[Column] = []
    left = 0.0
    for stage, members in sorted(stages.items()):
        placed, bent = _place(architecture, members)
        width = BOX_WIDTH + max(x for x, _ in [*placed, *_points(bent)])
        shift = left + BOX_WIDTH / 2
        centers |= {each: (x + shift, y) for each, (x, y) in zip(members, placed, strict=True)}
        bends |= {edge: tuple((x + shift, y) for x, y in way) for edge, way in bent.items()}
        columns.append(Column(stage, left, width, max(y for _, y in placed) + BOX_HEIGHT / 2))
        left += width + _GAP
    top = -_ABOVE * max(1, *_crossed(architecture))
    return Layout(tuple(centers[each] for each in sorted(centers)), bends, tuple(columns), top)


def _crossed(architecture: Architecture) -> Iterator[int]:
    """How many stages each connection crosses, its ends among them."""
    for box in architecture.boxes:
        for source in box.sources:
            yield box.stage - architecture.boxes[source].stage


def _place(
    architecture: Architecture, members: Sequence[int]
) -> tuple[list[Point], dict[Edge, tuple[Point, ...]]]:
    """Centers of a stage's boxes from the top left, and the bends of its inner connections."""
    edges = [
        (source, reader)
        for reader in members
        for source in architecture.boxes[reader].sources
        if source in set(members)
    ]
    rows: dict[int, int] = {}
    for each in members:
        rows[each] = max((rows[one] + 1 for one, reader in edges if reader == each), default=0)
    points, bent = _sugiyama(members, edges, rows)
    least = min(x for x, _ in points)
    shifted = [(x - least, y + BOX_HEIGHT / 2) for x, y in points]
    bends = {edge: tuple(shifted[each] for each in way) for edge, way in bent.items()}
    return shifted[: len(members)], bends


def _sugiyama(
    members: Sequence[int], edges: Sequence[Edge], rows: dict[int, int]
) -> tuple[list[Point], dict[Edge, range]]:
    """Points of the boxes, then of the bends: one in each row that a connection passes."""
    import igraph

    number = {position: index for index, position in enumerate(members)}
    layers = [rows[each] for each in members]
    pieces: list[Edge] = []
    bent: dict[Edge, range] = {}
    for source, reader in edges:
        bends = range(len(layers), len(layers) + rows[reader] - rows[source] - 1)
        layers += range(rows[source] + 1, rows[reader])
        chain = [number[source], *bends, number[reader]]
        pieces += pairwise(chain)
        bent[source, reader] = bends
    graph = igraph.Graph(n=len(layers), edges=pieces, directed=True)
    layout = graph.layout_sugiyama(layers=layers, hgap=_LANE, vgap=_ROW, maxiter=200)
    return _apart(layout.coords), bent


def _apart(points: Sequence[Sequence[float]]) -> list[Point]:
    """Points with room for a box each: igraph sometimes leaves half of it."""
    moved: dict[int, Point] = {}
    last: dict[float, float] = {}
    for index in sorted(range(len(points)), key=lambda each: points[each][0]):
        x, y = points[index]
        last[y] = max(x, last.get(y, -_LANE) + _LANE)
        moved[index] = (last[y], y)
    return [moved[index] for index in range(len(points))]


def _points(bends: dict[Edge, tuple[Point, ...]]) -> Iterator[Point]:
    for way in bends.values():
        yield from way


def _downward(points: Sequence[Point]) -> str:
    """From the bottom of the first box through the bends to the top of the last."""
    (x, y), *rest = points
    y += BOX_HEIGHT / 2
    data = [f"M{x:g} {y:g}"]
    for index, (to_x, to_y) in enumerate(rest, 1):
        to_y -= BOX_HEIGHT / 2 if index == len(rest) else 0
        middle = (y + to_y) / 2
        data.append(f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return " ".join(data)
