"""The architecture of a network: its layers, what joins them, stages and skip connections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from edgeferry.app.layer_profile import source_layer
from edgeferry.operations import WEIGHTED_KINDS

if TYPE_CHECKING:
    from edgeferry.exporters.network import Layer, Network, Node

Role = Literal["input", "main", "projection", "pool", "join", "other"]

INPUT = "image"
_SHOWN = frozenset({"Pool", "Mean", "Softmax", "Concat", "Resize", "ConvTranspose"})
_SIZED = WEIGHTED_KINDS | {"Pool"}
"""Kinds whose results are laid out as their format's convolutions have them."""


@dataclass(frozen=True)
class Box:
    """A layer, or an operation that pools or joins; what merely changes numbers is left out.

    Attributes:
        name: Of its layer in the source, where that is known.
        kind: What it does.
        role: ``projection`` is a weighted layer beside the main path of a residual block.
        sources: Positions of the boxes that it reads from.
        stage: Number of the stage: a run of boxes of one resolution, from 0.
        extent: Height and width of its result, where known.
        block: Number of its residual block, from 1; None outside of any.
        multiply_accumulates: What one inference computes in it, where known.
    """

    name: str
    kind: str
    role: Role
    sources: tuple[int, ...]
    stage: int
    extent: tuple[int, int] | None = None
    block: int | None = None
    multiply_accumulates: int | None = None

    @property
    def weighted(self) -> bool:
        """Whether it has weights."""
        return self.role in ("main", "projection")


@dataclass(frozen=True)
class Skip:
    """A connection around the weighted layers of a residual block.

    Attributes:
        path: Positions of the boxes on it, from where it leaves the main path to the addition.
    """

    path: tuple[int, ...]

    def edges(self) -> Iterator[tuple[int, int]]:
        """Source and reader of each piece."""
        yield from pairwise(self.path)


@dataclass(frozen=True)
class Architecture:
    """A network as it is drawn.

    Attributes:
        boxes: Each after those it reads from; the first is the input.
        skips: Its skip connections, in order.
    """

    boxes: tuple[Box, ...]
    skips: tuple[Skip, ...]

    def count(self, role: Role, kinds: Iterable[str] = WEIGHTED_KINDS) -> int:
        """Number of boxes of a role and some kinds."""
        return sum(box.role == role and box.kind in kinds for box in self.boxes)

    def summary(self) -> str:
        """What it is made of, in words."""
        convolutions = self.count("main", {"Conv", "DepthwiseConv"})
        dense, joined = self.count("main", {"MatMul"}), self.count("join", {"Concat"})
        parts = [
            _counted(convolutions + dense, "weighted layer") + " on the main path",
            f"({_counted(convolutions, 'convolution')}, {_counted(dense, 'dense layer')})",
        ]
        others = [
            _counted(self.count("projection"), "projection shortcut"),
            _counted(len(self.skips), "skip connection"),
        ]
        if joined:
            others.append(_counted(joined, "concatenation"))
        if grown := self.count("other", {"ConvTranspose"}):
            others.append(_counted(grown, "transposed convolution"))
        return f"{' '.join(parts)}, {', '.join(others)}"


def architecture(network: Network) -> Architecture:
    """Find a network's architecture.

    Args:
        network: As an artifact's file has it, or as it was before.
    """
    boxes = _Reader({layer.node: layer for layer in network.layers()}).read(network.nodes)
    skips = tuple(_skips(boxes))
    beside = {position for skip in skips for position in skip.path[1:-1]}
    return Architecture(
        tuple(_with_role(box, position in beside) for position, box in enumerate(boxes)), skips
    )


class _Reader:
    """Reads operations into boxes.

    Args:
        layers: By the name of their operation.
    """

    def __init__(self, layers: dict[str, Layer]) -> None:
        self._layers = layers
        self._boxes = [Box(INPUT, "Input", "input", (), 0)]
        self._made: dict[str, int] = {}  # by tensor, the box that it comes from
        self._pooled: set[int] = set()  # what channels are weighed by, beside the feature map

    def read(self, nodes: Sequence[Node]) -> list[Box]:
        for node in nodes:
            sources = tuple(dict.fromkeys(self._made.get(each, 0) for each in node.inputs))
            if node.name in self._layers or node.kind in _SHOWN or len(sources) > 1:
                self._boxes.append(self._box(node, sources))
                self._made[node.output] = len(self._boxes) - 1
            else:
                self._made[node.output] = sources[0]
        return self._boxes

    def _box(self, node: Node, sources: tuple[int, ...]) -> Box:
        layer = self._layers.get(node.name)
        before = [self._boxes[each] for each in sources]
        stage, given = max(each.stage for each in before), _largest(before)
        pooled = self._is_pooled(node, sources)
        extent = node.extent if node.kind in _SIZED and not pooled else given
        stage += stage == 0 or extent != given
        return Box(
            name=layer.name if layer else source_layer(node),
            kind=node.kind,
            role=_role(layer, len(sources)),
            sources=sources,
            stage=stage,
            extent=extent,
            block=layer.block if layer else None,
            multiply_accumulates=layer.multiply_accumulates if layer else None,
        )

    def _is_pooled(self, node: Node, sources: Collection[int]) -> bool:
        """Whether it sees but means over all positions: that is no resolution of its own."""
        pooled = node.kind == "Mean" or self._pooled.issuperset(sources)
        if pooled:
            self._pooled.add(len(self._boxes))
        return pooled


def _largest(boxes: Sequence[Box]) -> tuple[int, int] | None:
    known = [box.extent for box in boxes if box.extent]
    return max(known, default=None)


def _role(layer: Layer | None, sources: int) -> Role:
    if layer is not None:
        return "main"
    return "join" if sources > 1 else "other"


def _with_role(box: Box, beside: bool) -> Box:
    return replace(box, role="projection") if beside and box.weighted else box


def _skips(boxes: Sequence[Box]) -> Iterator[Skip]:
    """The shorter ways to additions, where one of the two ways has fewer weighted layers."""
    behind: list[set[int]] = []
    for position, box in enumerate(boxes):
        behind.append({position}.union(*(behind[each] for each in box.sources)))
        if box.kind != "Add" or len(box.sources) != 2:
            continue
        one, other = box.sources
        ways = [(one, behind[one] - behind[other]), (other, behind[other] - behind[one])]
        lengths = [sum(boxes[each].weighted for each in way) for _, way in ways]
        if lengths[0] != lengths[1]:
            end, way = ways[lengths.index(min(lengths))]
            yield Skip((*_way(boxes, end, way), position))


def _way(boxes: Sequence[Box], end: int, way: set[int]) -> list[int]:
    """From the box that a way leaves to its end, in order; of branches the first."""
    path = [end]
    while path[-1] in way and boxes[path[-1]].sources:
        path.append(boxes[path[-1]].sources[0])
    return path[::-1]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
