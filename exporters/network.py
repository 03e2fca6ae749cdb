"""A float model in terms that all formats share: layers, residual blocks, who reads what."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edgeferry.errors import UsageError
from edgeferry.operations import WEIGHTED_KINDS

_ACTIVATIONS = frozenset({"Relu", "Clip", "Bias"})
"""Kinds that engines fuse into the weighted operation before them."""
_POOLING = frozenset({"Mean", "Pool"})
_INNER = frozenset({("Tensordot", "MatMul"), ("separable_conv2d", "depthwise")})
"""Scopes that TensorFlow opens within a layer, with the operation that it puts there."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: What the format's quantizer knows it by.
        kind: What it does, as ``edgeferry.operations`` calls it; adding a constant is ``Bias``.
        inputs: Names of the tensors it reads that are not constants.
        output: Name of the tensor it gives.
        path: Where it stands in the source, e.g. ``net/resnet50/conv1_conv/convolution``;
            empty for operations without weights.
        multiply_accumulates: What one inference computes in it; None where that is not known.
        extent: Height and width of its result, where that is a feature map of known size.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    path: str = ""
    multiply_accumulates: int | None = None
    extent: tuple[int, int] | None = None


@dataclass(frozen=True)
class Layer:
    """A weighted operation with what is fused into it.

    Attributes:
        name: The layer's name in the source.
        kind: ``Conv``, ``DepthwiseConv`` or ``MatMul``.
        node: Name of the operation.
        sources: Names of the tensors that it reads.
        result: Name of the tensor that it gives, after bias and rectifier.
        block: Number of the residual block it belongs to, from 1; None outside of any.
        parts: Names of all that is in it, operations and the tensors that they give.
        multiply_accumulates: What one inference computes in it; None where that is not known.
    """

    name: str
    kind: str
    node: str
    sources: tuple[str, ...]
    result: str
    block: int | None
    parts: frozenset[str] = frozenset()
    multiply_accumulates: int | None = None


@dataclass(frozen=True)
class Tail:
    """What ends a network: it stays float, lest integer steps decide between close answers.

    Attributes:
        layers: The last weighted operations. Their results stay float too, unless they are
            pooled: the mean of integers has finer steps.
        behind: Names of all operations that no weighted one follows.
    """

    layers: tuple[Node, ...]
    behind: frozenset[str]


class Network:
    """The operations of a float model.

    Args:
        nodes: In an order in which each comes after those it reads from.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self._readers: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for tensor in node.inputs:
                self._readers[tensor].append(node)

    def layers(self) -> list[Layer]:
        """The weighted operations, in order."""
        weighted = [node for node in self.nodes if node.kind in WEIGHTED_KINDS]
        blocks = self._blocks()
        names = _names([each.path for each in weighted])
        return [
            self._layer(name, node, blocks.get(node))
            for name, node in zip(names, weighted, strict=True)
        ]

    def float_group(self, layers: Collection[str]) -> set[str]:
        """Names of the operations to leave in float so that the layers' results stay float.

        These are the layers and what reads their results, up to the next weighted operation or
        the next that joins two tensors: an integer reader would quantize what it reads.

        Args:
            layers: Names of layers.

        Raises:
            UsageError: If there is no layer of a name.
        """
        known = {layer.name: layer.node for layer in self.layers()}
        by_name = {node.name: node for node in self.nodes}
        group: set[str] = set()
        for name in layers:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
                raise UsageError(f"there is no layer {name!r}", f"The nearest: {', '.join(near)}")
            node = by_name[known[name]]
            group |= {node.name, *(each.name for each in self._reached(node.output))}
        return group

    def tail(self) -> Tail:
        """What ends the network."""
        followed: set[Node] = set()  # by a weighted operation, further down
        pooled: set[Node] = set()  # likewise by one that pools, where no weighted one follows
        last: list[Node] = []
        for node in reversed(self.nodes):
            readers = self._readers[node.output]
            if any(each.kind in WEIGHTED_KINDS or each in followed for each in readers):
                followed.add(node)
            elif any(each.kind in _POOLING or each in pooled for each in readers):
                pooled.add(node)
            elif node.kind in WEIGHTED_KINDS:
                last.append(node)
        fused = {each for node in self.nodes for each in self._inside(node)}
        behind = (node.name for node in self.nodes if node not in followed | fused)
        return Tail(tuple(reversed(last)), frozenset(behind))

    def _inside(self, node: Node) -> list[Node]:
        """A weighted operation, and what engines fuse into it."""
        return self._fused(node) if node.kind in WEIGHTED_KINDS else []

    def inner_tensors(self) -> set[str]:
        """Tensors that lie inside of what engines fuse: they are never quantized themselves."""
        return {
            each.output
            for node in self.nodes
            if node.kind in WEIGHTED_KINDS or node.kind == "Add"
            for each in self._fused(node)[:-1]
        }

    def _reached(self, tensor: str) -> Iterator[Node]:
        """The readers of a tensor, seen through those that give on what they read."""
        for reader in self._readers[tensor]:
            yield reader
            if reader.kind not in WEIGHTED_KINDS and len(set(reader.inputs)) == 1:
                yield from self._reached(reader.output)

    def _layer(self, name: str, node: Node, block: int | None) -> Layer:
        fused = self._fused(node)
        return Layer(
            name=name,
            kind=node.kind,
            node=node.name,
            sources=node.inputs,
            result=fused[-1].output,
            block=block,
            parts=frozenset(part for each in fused for part in (each.name, each.output)),
            multiply_accumulates=node.multiply_accumulates,
        )

    def _fused(self, node: Node) -> list[Node]:
        """An operation, and what engines fuse into it."""
        nodes = [node]
        while len(readers := self._readers[nodes[-1].output]) == 1:
            if readers[0].kind not in _ACTIVATIONS:
                break
            nodes.append(readers[0])
        return nodes

    def _blocks(self) -> dict[Node, int]:
        """Numbers of residual blocks: what only one side of an addition depends on."""
        behind: dict[str, frozenset[Node]] = defaultdict(frozenset)
        blocks: dict[Node, int] = {}
        count = 0
        for node in self.nodes:
            if node.kind == "Add" and len(set(node.inputs)) == 2:
                one, other = (behind[tensor] for tensor in node.inputs)
                new = [each for each in one ^ other if each not in blocks]
                count += any(each.kind in WEIGHTED_KINDS for each in new)
                blocks |= dict.fromkeys(new, count)
            sources = (behind[tensor] for tensor in node.inputs)
            behind[node.output] = frozenset({node}).union(*sources)
        return blocks


def _names(paths: Sequence[str]) -> list[str]:
    """The last part of each path that names a layer; more of it where that is not unique."""
    scopes = [scope_of(path) for path in paths]
    short = Counter(scope.rpartition("/")[2] for scope in set(scopes))
    seen: Counter[str] = Counter()
    names = []
    for scope in scopes:
        last = scope.rpartition("/")[2]
        name = last if short[last] == 1 else scope.removeprefix("net/")
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def scope_of(path: str) -> str:
    """The path of the layer that an operation belongs to.

    Args:
        path: The operation's, e.g. ``net/resnet50/conv1_conv/convolution``.
    """
    *scope, operation = path.removesuffix("/product").split("/")
    if len(scope) > 1 and (scope[-1], operation) in _INNER:
        del scope[-1]
    return "/".join(scope) or path
