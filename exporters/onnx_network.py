"""An ONNX model as a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeferry.exporters.graph import KERNEL
from edgeferry.exporters.network import Network, Node
from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def onnx_network(model: ModelProto) -> Network:
    """The operations of a float ONNX model, by node name.

    Args:
        model: Its nodes in topological order.
    """
    return Network(list(_nodes(model)))


def _nodes(model: ModelProto) -> Iterator[Node]:
    constants = {value.name for value in model.graph.initializer}
    for node in model.graph.node:
        computed = tuple(name for name in node.input if name and name not in constants)
        if not computed:
            constants.update(node.output)
            continue
        kind = _kind(model, node)
        path = _path(node) if kind in WEIGHTED_KINDS else ""
        fed = len(node.input) > len(computed)
        kind = "Bias" if kind == "Add" and fed else kind
        yield Node(node.name, kind, computed, node.output[0], path)


def _kind(model: ModelProto, node: NodeProto) -> str:
    kind = kind_of(node.op_type)
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    return "DepthwiseConv" if kind == "Conv" and groups > 1 else kind


def _path(node: NodeProto) -> str:
    """Named after the kernel, which keeps its name when operations are merged."""
    kernel = str(node.input[1]).removesuffix(":0")
    named = kernel.endswith(f"/{KERNEL}")
    return kernel.removesuffix(f"/{KERNEL}") if named else str(node.name)
