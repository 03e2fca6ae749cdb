"""Cross-layer equalization: channels brought to like ranges between neighboring layers.

A channel far larger than its neighbors takes all integer steps for itself. Dividing what one
layer gives by a factor for each channel, and multiplying what the next one takes, changes no
answer. Nagel et al., 2019, section 4.1, https://arxiv.org/abs/1906.04721.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.channel_affine import constant_affine
from edgeferry.exporters.graph import KERNEL, Array, Graph, node_name
from edgeferry.files import atomic_path

if TYPE_CHECKING:
    from tensorflow import NodeDef

_WEIGHTED = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
_ADDITIONS = frozenset({"BiasAdd", "Add", "AddV2"})
_RECTIFIERS = frozenset({"Relu", "LeakyRelu"})
_POOLS = frozenset({"MaxPool", "AvgPool"})
_SPATIAL = _POOLS | {"Pad", "Mean", "Max"}
_FLATTENING = frozenset({"Reshape", "Squeeze"})
"""Channels stay last, but behind these the axes are no longer known."""
_ROUNDS, _SETTLED = 50, 1e-3
"""Chains of layers need several rounds; factors this near to 1 (as logarithms) end them."""
_LARGEST_FACTOR = 2.0**30
"""Keeps everything within float32."""
_DEAD = 1e-6
"""Share of a layer's largest weight; a channel below it gives but its bias, which would grow."""


@dataclass(frozen=True)
class _Pair:
    """Two weighted operations with nothing between them that minds a scale.

    Attributes:
        first: Name of the one that gives the channels.
        second: Name of the one that takes them.
        channels: How many there are.
        offsets: Names of the constant additions between them.
    """

    first: str
    second: str
    channels: int
    offsets: tuple[str, ...]


def equalized(source: PreparedSource) -> PreparedSource:
    """Write the equalized graph, ``graph-equalized.pb``, beside a source's own.

    Returns:
        The source with that graph; its contract is the same.
    """
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(source.graph.read_bytes())
    graph = Graph(graph_def, source.contract.output_names)
    equalize(graph)
    graph.name_outputs(source.contract.output_names)
    path = source.graph.with_name("graph-equalized.pb")
    with atomic_path(path) as temporary:  # the processes of several formats write the same file
        temporary.write_bytes(graph.graph_def().SerializeToString(deterministic=True))
    return replace(source, graph=path)


def equalize(graph: Graph) -> None:
    """Equalize the channels between neighboring layers; edits the graph.

    Args:
        graph: Folded; what it answers stays the same but for rounding in float32.
    """
    pairs = list(_pairs(graph))
    names = {name for pair in pairs for name in (pair.first, pair.second)}
    weights = {name: _magnitudes(graph, graph.nodes[name]) for name in names}
    totals = [np.ones(pair.channels) for pair in pairs]
    for _ in range(_ROUNDS):
        steps = [_even_out(weights, *each) for each in zip(pairs, totals, strict=True)]
        if all(np.abs(np.log(step)).max() < _SETTLED for step in steps):
            break
    for pair, total in zip(pairs, totals, strict=True):
        _rescale(graph, pair, total)


def _magnitudes(graph: Graph, node: NodeDef) -> Array:
    """Largest weight between each input and each output channel, ``[inputs, outputs]``."""
    kernel = np.abs(_kernel(graph, node))
    if node.op == "MatMul":
        return kernel
    largest: Array = kernel.max(axis=(0, 1))
    if node.op == "DepthwiseConv2dNative":
        inputs, multiplier = largest.shape
        own = np.eye(inputs, dtype=largest.dtype).repeat(multiplier, axis=1)
        largest = own * largest.reshape(-1)
    return largest


def _even_out(weights: dict[str, Array], pair: _Pair, total: Array) -> Array:
    """Even out the weights of two layers; give the factors, which the total takes in."""
    given = weights[pair.first].max(axis=0)
    taken = weights[pair.second].max(axis=1).reshape(-1, pair.channels).max(axis=0)
    alive = (given > _DEAD * given.max()) & (taken > _DEAD * taken.max())
    step = np.ones(pair.channels)
    step[alive] = np.sqrt(given[alive] / taken[alive].astype(np.float64))
    step = np.clip(total * step, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR) / total
    total *= step
    weights[pair.first] = weights[pair.first] / step
    weights[pair.second] = _inputs_scaled(weights[pair.second], step)
    return step


def _rescale(graph: Graph, pair: _Pair, factors: Array) -> None:
    """Divide what the first operation gives, and multiply what the second takes."""
    first, second = graph.nodes[pair.first], graph.nodes[pair.second]
    kernel = _kernel(graph, first)
    outputs = kernel.shape[2:] if first.op == "DepthwiseConv2dNative" else -1
    _set_kernel(graph, first, kernel / factors.reshape(outputs))
    _set_kernel(graph, second, _inputs_scaled(_kernel(graph, second), factors))
    for name in pair.offsets:
        _divide_offset(graph, graph.nodes[name], factors)


def _inputs_scaled(kernel: Array, factors: Array) -> Array:
    """A kernel times a factor for each input; a flattened picture repeats its channels."""
    repeated: Array = np.tile(factors, kernel.shape[-2] // len(factors))
    return np.asarray(kernel * repeated[:, None])


def _divide_offset(graph: Graph, node: NodeDef, factors: Array) -> None:
    for position, name in enumerate(node.input):
        offset = graph.constant(name)
        if offset is not None:
            divided = (offset / factors).astype(np.float32)
            node.input[position] = graph.add_constant(f"{node.name}/offset", divided)


def _pairs(graph: Graph) -> Iterator[_Pair]:
    readers = graph.consumers()
    for node in graph.nodes.values():
        pair = _pair_behind(graph, node, readers) if _is_plain(graph, node, readers) else None
        if pair is not None:
            yield pair


def _pair_behind(graph: Graph, first: NodeDef, readers: dict[str, list[str]]) -> _Pair | None:
    """Follow the only reader of each result while a scale passes through it."""
    channels, offsets = _magnitudes(graph, first).shape[1], list[str]()
    last, flat = first.name, False
    while len(readers[last]) == 1 and (reader := graph.nodes.get(readers[last][0])) is not None:
        if reader.op in _WEIGHTED:
            fits = _is_plain(graph, reader, readers) and _takes(graph, reader, last, channels)
            return _Pair(first.name, reader.name, channels, tuple(offsets)) if fits else None
        if not flat and _is_offset(graph, reader, last, channels):
            offsets.append(reader.name)
        elif not _passes(graph, reader, flat):
            return None
        last, flat = reader.name, flat or reader.op in _FLATTENING
    return None


def _takes(graph: Graph, node: NodeDef, source: str, channels: int) -> bool:
    """Whether the inputs of an operation are a tensor's channels; not so for grouped ones."""
    return node_name(node.input[0]) == source and _kernel(graph, node).shape[-2] % channels == 0


def _is_offset(graph: Graph, node: NodeDef, source: str, channels: int) -> bool:
    affine = constant_affine(graph, node, source, channels) if node.op in _ADDITIONS else None
    return affine is not None


def _passes(graph: Graph, node: NodeDef, flat: bool) -> bool:
    """Whether a scale for each channel passes through an operation."""
    if node.op in _RECTIFIERS or node.op in _FLATTENING:
        return True
    if flat or node.op not in _SPATIAL:
        return False
    if node.op in _POOLS:
        return True
    told = graph.constant(node.input[1])
    if told is None:
        return False
    return not told[-1].any() if node.op == "Pad" else sorted(told.reshape(-1)) == [1, 2]


def _is_plain(graph: Graph, node: NodeDef, readers: dict[str, list[str]]) -> bool:
    """Whether an operation has a float kernel of its own, in the layout that is known here."""
    if node.op not in _WEIGHTED or len(readers[node_name(node.input[1])]) > 1:
        return False
    if node.op == "MatMul":
        known = not (node.attr["transpose_a"].b or node.attr["transpose_b"].b)
    else:
        known = node.attr["data_format"].s in (b"", b"NHWC")
    kernel = graph.constant(node.input[1])
    return known and kernel is not None and kernel.dtype == np.float32


def _kernel(graph: Graph, node: NodeDef) -> Array:
    kernel = graph.constant(node.input[1])
    assert kernel is not None
    return kernel


def _set_kernel(graph: Graph, node: NodeDef, kernel: Array) -> None:
    name = f"{node.name}/{KERNEL}"
    node.input[1] = graph.add_constant(name, kernel.astype(np.float32))
