"""A TFLite model as a network."""

from __future__ import annotations

from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from edgeferry.exporters.network import Network, Node
from edgeferry.exporters.tflite_metadata import unpack
from edgeferry.operations import WEIGHTED_KINDS, kind_of, multiply_accumulates

_TYPES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_OPERATIONS = ("convolution", "depthwise", "MatMul")
"""How the source's operations are called, at the end of their paths."""


def tflite_network(model: bytes) -> Network:
    """The operations of a TFLite model, by the name of their first output.

    Args:
        model: Its bytes.
    """
    return Network(list(_nodes(unpack(model))))


def _nodes(tree: schema.ModelT) -> Iterator[Node]:
    graph = tree.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    computed = {int(index) for index in graph.inputs}
    for op in graph.operators:
        inputs = [int(index) for index in op.inputs if index >= 0]
        read = tuple(names[index] for index in inputs if index in computed)
        if not read:
            continue
        computed.update(int(index) for index in op.outputs)
        kind = kind_of(_TYPES[tree.operatorCodes[op.opcodeIndex].builtinCode])
        output = names[op.outputs[0]]
        weighted = kind in WEIGHTED_KINDS
        path = _path([names[index] for index in inputs], output) if weighted else ""
        fixed = weighted and inputs[1] not in computed
        products = _products(graph, inputs[1], op.outputs[0]) if fixed else None
        kind = "Bias" if kind == "Add" and len(inputs) > len(read) else kind
        yield Node(output, kind, read, output, path, products, _extent(graph, op.outputs[0]))


def _products(graph: schema.SubGraphT, kernel: int, output: int) -> int:
    # Numbers of numpy would overflow.
    kernel_shape, output_shape = (
        list(map(int, graph.tensors[each].shape)) for each in (kernel, output)
    )
    return multiply_accumulates(kernel_shape, output_shape, -1)


def _extent(graph: schema.SubGraphT, tensor: int) -> tuple[int, int] | None:
    """Of ``[N, height, width, channels]``."""
    shape = graph.tensors[tensor].shape
    return (int(shape[1]), int(shape[2])) if shape is not None and len(shape) == 4 else None


def _path(inputs: list[str], output: str) -> str:
    """The source's operation among those that were merged: the kernel carries its name."""
    merged = [name for each in (*inputs[1:2], output) for name in each.split(";")]
    return next((name for name in merged if name.endswith(_OPERATIONS)), merged[0])
