"""Editing a frozen TensorFlow graph: constants evaluated, batch norm and input arithmetic folded.

A graph here is a ``GraphDef`` without variables, control inputs or identities. Folding it once
gives every exporter the same convolutions with the same weights, whatever the source was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tensorflow import GraphDef, NodeDef

_ALIASES = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
_INPUTS = frozenset({"Placeholder", "PlaceholderWithDefault"})
_WEIGHTED = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})

Array = NDArray[Any]
KERNEL = "kernel"
"""Last part of the name of a folded operation's weights; the rest is the operation's name."""


@dataclass(frozen=True)
class ChannelAffine:
    """``y = x * scale + offset`` for each channel, float64."""

    scale: Array
    offset: Array

    def then(self, scale: Array | float, offset: Array | float) -> ChannelAffine:
        """This map followed by another."""
        return ChannelAffine(self.scale * scale, self.offset * scale + offset)


class Graph:
    """A frozen graph, by node name.

    Args:
        graph_def: The graph; variables already frozen to constants.
        output: Name of its output node.
    """

    def __init__(self, graph_def: GraphDef, output: str) -> None:
        import tensorflow as tf

        kept = tf.compat.v1.graph_util.extract_sub_graph(graph_def, [output])
        self.nodes: dict[str, NodeDef] = {node.name: node for node in kept.node}
        self.output = output
        self._drop_aliases()

    def consumers(self) -> dict[str, list[str]]:
        """Names of the nodes that read each node."""
        readers: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes.values():
            for name in node.input:
                readers[_node_name(name)].append(node.name)
        readers[self.output].append("")
        return readers

    def constant(self, name: str) -> Array | None:
        """Value of a constant node, None if it is not one."""
        import tensorflow as tf

        node = self.nodes[_node_name(name)]
        value: Array | None = None
        if node.op == "Const":
            value = tf.make_ndarray(node.attr["value"].tensor)
        return value

    def add_constant(self, name: str, value: Array) -> str:
        """Add a constant under a new name and give that name back."""
        import tensorflow as tf

        node = tf.compat.v1.NodeDef(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        self.nodes[name] = node
        return name

    def graph_def(self) -> GraphDef:
        """The graph, without what its output does not need."""
        import tensorflow as tf

        whole = tf.compat.v1.GraphDef(node=self.nodes.values())
        return tf.compat.v1.graph_util.extract_sub_graph(whole, [self.output])

    def _drop_aliases(self) -> None:
        for node in self.nodes.values():
            kept = [self._resolve(name) for name in node.input if not name.startswith("^")]
            node.input[:] = kept
        self.output = _node_name(self._resolve(self.output))
        self.nodes = {name: node for name, node in self.nodes.items() if node.op not in _ALIASES}

    def _resolve(self, name: str) -> str:
        while self.nodes[_node_name(name)].op in _ALIASES:
            name = self.nodes[_node_name(name)].input[0]
        return name


def fold_constants(graph: Graph) -> None:
    """Replace every node that depends on constants only by its value."""
    import tensorflow as tf

    constant = _constant_nodes(graph)
    needed = [
        name
        for name, readers in graph.consumers().items()
        if name in constant
        and graph.nodes[name].op != "Const"
        and any(reader not in constant for reader in readers)
    ]
    if not needed:
        return
    part = tf.compat.v1.GraphDef(node=[graph.nodes[name] for name in constant])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(part, name="")
        values = session.run([f"{name}:0" for name in needed])
    for name, value in zip(needed, values, strict=True):
        graph.add_constant(name, np.asarray(value))


def _constant_nodes(graph: Graph) -> set[str]:
    """Names of nodes with one output that depend on no input."""
    constant: set[str] = set()
    for name in _topological(graph):
        node = graph.nodes[name]
        computed = node.input and all(
            _node_name(i) in constant and ":" not in i for i in node.input
        )
        if node.op == "Const" or (computed and node.op not in _INPUTS and not _is_random(node)):
            constant.add(name)
    return constant


def _is_random(node: NodeDef) -> bool:
    return "Random" in node.op


def _topological(graph: Graph) -> list[str]:
    order: list[str] = []
    state: dict[str, bool] = {}
    stack = list(reversed(graph.nodes))
    while stack:
        name = stack.pop()
        if state.get(name):
            continue
        if name in state:
            state[name] = True
            order.append(name)
            continue
        state[name] = False
        stack.append(name)
        stack += [n for i in graph.nodes[name].input if (n := _node_name(i)) not in state]
    return order


def fold_batch_norm(graph: Graph) -> None:
    """Fold per-channel scales and offsets behind a weighted operation into its weights and bias.

    Covers batch norm in its fused and in its written-out form (Ioffe and Szegedy, 2015,
    https://arxiv.org/abs/1502.03167) and any chain of constant additions and products.
    """
    consumers = graph.consumers()
    for node in list(graph.nodes.values()):
        if node.op in _WEIGHTED and graph.constant(node.input[1]) is not None:
            _fold_behind(graph, node, consumers)


def _fold_behind(graph: Graph, node: NodeDef, consumers: dict[str, list[str]]) -> None:
    kernel = graph.constant(node.input[1])
    channels = _output_channels(node, kernel)
    if kernel is None or channels is None:
        return
    total = ChannelAffine(np.ones(channels), np.zeros(channels))
    last, folded = node.name, 0
    while len(consumers[last]) == 1 and (reader := graph.nodes.get(consumers[last][0])):
        step = constant_affine(graph, reader, last, channels)
        if step is None:
            break
        total = total.then(step.scale, step.offset)
        last, folded = reader.name, folded + 1
    if folded:
        scale = _kernel_shaped(node, kernel, total.scale)
        node.input[1] = graph.add_constant(
            f"{node.name}/{KERNEL}", (kernel * scale).astype(kernel.dtype)
        )
        bias = graph.add_constant(f"{node.name}/bias", total.offset.astype(kernel.dtype))
        _become_bias_add(graph, graph.nodes[last], node.name, bias)


def _output_channels(node: NodeDef, kernel: Array | None) -> int | None:
    """Number of output channels, None for a layout that is not folded."""
    if kernel is None or kernel.dtype != np.float32:
        return None
    if node.op == "MatMul":
        return None if node.attr["transpose_b"].b else int(kernel.shape[1])
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    if node.op == "DepthwiseConv2dNative":
        return int(kernel.shape[2] * kernel.shape[3])
    return int(kernel.shape[3])


def _kernel_shaped(node: NodeDef, kernel: Array, scale: Array) -> Array:
    return scale.reshape(kernel.shape[2:]) if node.op == "DepthwiseConv2dNative" else scale


def _become_bias_add(graph: Graph, node: NodeDef, source: str, bias: str) -> None:
    import tensorflow as tf

    node.op = "BiasAdd"
    node.input[:] = [source, bias]
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["data_format"].s = b"NHWC"
    graph.nodes[node.name] = node


def constant_affine(
    graph: Graph, node: NodeDef, source: str, channels: int
) -> ChannelAffine | None:
    """What a node does to each channel of one of its inputs; None if it is no constant affine map.

    Args:
        graph: The graph.
        node: The node that reads ``source``.
        source: Name of the node whose values are mapped.
        channels: Size of the last dimension of those values.
    """
    if node.op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        return _fused_batch_norm(graph, node)
    if node.op not in ("BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv") or len(node.input) != 2:
        return None
    first, second = node.input
    other = second if _node_name(first) == source else first
    value = _per_channel(graph.constant(other), channels)
    if value is None or _node_name(other) == source:
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "Mul":
        return ChannelAffine(value, zero)
    if node.op in ("BiasAdd", "Add", "AddV2"):
        return ChannelAffine(one, value)
    if node.op == "Sub":
        return ChannelAffine(one, -value) if other == second else ChannelAffine(-one, value)
    return ChannelAffine(1 / value, zero) if other == second and np.all(value != 0) else None


def _fused_batch_norm(graph: Graph, node: NodeDef) -> ChannelAffine | None:
    parameters = [graph.constant(name) for name in node.input[1:5]]
    if node.attr["is_training"].b or node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    gamma, beta, mean, variance = (
        None if value is None else value.astype(np.float64) for value in parameters
    )
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return ChannelAffine(scale, beta - mean * scale)


def _per_channel(value: Array | None, channels: int) -> Array | None:
    if value is None or not np.issubdtype(value.dtype, np.floating):
        return None
    if value.size == 1:
        return np.full(channels, float(value.reshape(())))
    if value.size == channels and value.shape[-1] == channels:
        return value.reshape(channels).astype(np.float64)
    return None


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
