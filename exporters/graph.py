"""Editing a frozen TensorFlow graph: brought to float32, constants evaluated.

A graph here is a ``GraphDef`` without variables, control inputs, identities or half precision.
Folding it once gives every exporter the same convolutions with the same weights, whatever the
source was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tensorflow import GraphDef, NodeDef

_ALIASES = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
_HALF = frozenset({"float16", "bfloat16"})
_INPUTS = frozenset({"Placeholder", "PlaceholderWithDefault"})

Array = NDArray[Any]
KERNEL = "kernel"
"""Last part of the name of a folded operation's weights; the rest is the operation's name."""


class Graph:
    """A frozen graph, by node name.

    Args:
        graph_def: The graph; variables already frozen to constants.
        outputs: Names of its output nodes.
    """

    def __init__(self, graph_def: GraphDef, outputs: Sequence[str]) -> None:
        import tensorflow as tf

        kept = tf.compat.v1.graph_util.extract_sub_graph(graph_def, list(outputs))
        self.nodes: dict[str, NodeDef] = {node.name: node for node in kept.node}
        self.outputs = list(outputs)
        self._use_float32()
        self._drop_aliases()

    def consumers(self) -> dict[str, list[str]]:
        """Names of the nodes that read each node."""
        readers: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes.values():
            for name in node.input:
                readers[node_name(name)].append(node.name)
        for output in self.outputs:
            readers[output].append("")
        return readers

    def constant(self, name: str) -> Array | None:
        """Value of a constant node, None if it is not one."""
        import tensorflow as tf

        node = self.nodes[node_name(name)]
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

    def copy(self, node: NodeDef, name: str) -> NodeDef:
        """Add a copy of a node under a new name."""
        self.nodes[name] = type(node)()
        self.nodes[name].CopyFrom(node)
        self.nodes[name].name = name
        return self.nodes[name]

    def name_outputs(self, names: Sequence[str]) -> None:
        """Let the outputs go by names that were dropped as aliases."""
        import tensorflow as tf

        for position, (output, name) in enumerate(zip(self.outputs, names, strict=True)):
            if output != name:
                node = tf.compat.v1.NodeDef(name=name, op="Identity", input=[output])
                node.attr["T"].type = tf.float32.as_datatype_enum
                self.nodes[name], self.outputs[position] = node, name

    def prune(self) -> None:
        """Drop the nodes that the outputs do not need."""
        self.nodes = {node.name: node for node in self.graph_def().node}

    def graph_def(self) -> GraphDef:
        """The graph, without what its outputs do not need."""
        import tensorflow as tf

        whole = tf.compat.v1.GraphDef(node=self.nodes.values())
        return tf.compat.v1.graph_util.extract_sub_graph(whole, self.outputs)

    def _use_float32(self) -> None:
        """Let a network that was trained in mixed precision compute in float32."""
        import tensorflow as tf

        half = {getattr(tf, name).as_datatype_enum for name in _HALF}
        for node in list(self.nodes.values()):
            if node.op == "Const" and node.attr["dtype"].type in half:
                value = tf.make_ndarray(node.attr["value"].tensor)
                self.add_constant(node.name, value.astype(np.float32))
                continue
            for attribute in node.attr.values():
                if attribute.type in half:
                    attribute.type = tf.float32.as_datatype_enum

    def _drop_aliases(self) -> None:
        for node in self.nodes.values():
            kept = [self._resolve(name) for name in node.input if not name.startswith("^")]
            node.input[:] = kept
        self.outputs = [node_name(self._resolve(output)) for output in self.outputs]
        self.nodes = {name: node for name, node in self.nodes.items() if not _is_alias(node)}

    def _resolve(self, name: str) -> str:
        while _is_alias(self.nodes[node_name(name)]):
            name = self.nodes[node_name(name)].input[0]
        return name


def _is_alias(node: NodeDef) -> bool:
    """Whether a node only gives its input another name."""
    to_itself = node.op == "Cast" and node.attr["SrcT"].type == node.attr["DstT"].type
    return node.op in _ALIASES or to_itself


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


def drop_integer_casts(graph: Graph, picture: str) -> None:
    """Let a network that takes integer pictures, and makes them float, take them as float.

    Args:
        graph: It, behind a cast of the float picture to integers; is edited.
        picture: Name of the input node. What it holds, 0 to 255, is the same in both types.
    """
    import tensorflow as tf

    float32 = tf.float32.as_datatype_enum
    casts = {name: node for name, node in graph.nodes.items() if node.op == "Cast"}
    integers = {name for name, node in casts.items() if node_name(node.input[0]) == picture}
    back = {
        name
        for name, node in casts.items()
        if node_name(node.input[0]) in integers and node.attr["DstT"].type == float32
    }
    for node in graph.nodes.values():
        node.input[:] = [picture if node_name(name) in back else name for name in node.input]


def plain_additions(graph: Graph) -> None:
    """Make a bias that is computed an addition again, which it is to every converter.

    Keras adds two activations as a bias where the second is 1 x 1 pixels of one picture.
    """
    for node in graph.nodes.values():
        last_axis = node.op == "BiasAdd" and node.attr["data_format"].s in (b"", b"NHWC")
        if last_axis and graph.constant(node.input[1]) is None:
            node.op = "AddV2"
            del node.attr["data_format"]


def _constant_nodes(graph: Graph) -> set[str]:
    """Names of nodes with one output that depend on no input."""
    constant: set[str] = set()
    for name in _topological(graph):
        node = graph.nodes[name]
        computed = node.input and all(node_name(i) in constant and ":" not in i for i in node.input)
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
        stack += [n for i in graph.nodes[name].input if (n := node_name(i)) not in state]
    return order


def node_name(tensor: str) -> str:
    """Name of the node that a tensor, or a control input, comes from."""
    return tensor.removeprefix("^").split(":")[0]
