"""An ONNX model as a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edgeferry.exporters.graph import KERNEL
from edgeferry.exporters.network import Network, Node
from edgeferry.operations import WEIGHTED_KINDS, kind_of, multiply_accumulates

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def onnx_network(model: ModelProto) -> Network:
    """The operations of an ONNX model, by node name.

    Args:
        model: Its nodes in topological order; multiply-accumulates are known where their shapes
            are, as ``onnx.shape_inference`` tells them.
    """
    return Network(list(_nodes(model)))


def _nodes(model: ModelProto) -> Iterator[Node]:
    constants = {value.name for value in model.graph.initializer}
    shapes = dict(_shapes(model))
    for node in model.graph.node:
        computed = tuple(name for name in node.input if name and name not in constants)
        if not computed:
            constants.update(node.output)
            continue
        kind = _kind(model, node)
        weighted = kind in WEIGHTED_KINDS
        path = _path(node) if weighted else ""
        products = (
            _products(node, kind, shapes) if weighted and node.input[1] in constants else None
        )
        fed = len(node.input) > len(computed)
        kind = "Bias" if kind == "Add" and fed else kind
        extent = _extent(shapes.get(node.output[0], []))
        yield Node(node.name, kind, computed, node.output[0], path, products, extent)


def _kind(model: ModelProto, node: NodeProto) -> str:
    kind = kind_of(node.op_type)
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    return "DepthwiseConv" if kind == "Conv" and groups > 1 else kind


def _shapes(model: ModelProto) -> Iterator[tuple[str, list[int]]]:
    """Shapes by tensor, as far as they are told; a batch of any size counts as one picture."""
    for value in model.graph.initializer:
        yield value.name, list(value.dims)
    for value in (*model.graph.value_info, *model.graph.output):
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        if sizes:
            yield value.name, [sizes[0] or 1, *sizes[1:]]


def _products(node: NodeProto, kind: str, shapes: Mapping[str, list[int]]) -> int | None:
    kernel, output = shapes.get(node.input[1], []), shapes.get(node.output[0], [])
    if not kernel or not output or 0 in output:
        return None
    return multiply_accumulates(kernel, output, -1 if kind == "MatMul" else 1)


def _extent(shape: list[int]) -> tuple[int, int] | None:
    """Of ``[N, channels, height, width]``."""
    return (shape[2], shape[3]) if len(shape) == 4 and 0 not in shape[2:] else None


def _path(node: NodeProto) -> str:
    """Named after the kernel, which keeps its name when operations are merged."""
    named, found, _ = str(node.input[1]).partition(f"/{KERNEL}:0")
    return named if found else str(node.name)
