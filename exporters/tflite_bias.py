"""Bias correction on a float ``.tflite``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeferry.exporters.bias_correction import rounding_shift
from edgeferry.exporters.channels import Channels
from edgeferry.exporters.tflite_metadata import pack, unpack

_OUTPUTS_FIRST = {
    schema.BuiltinOperator.CONV_2D: (0, 3, 1, 2),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2),
    schema.BuiltinOperator.FULLY_CONNECTED: (0, 1),
}
"""How a kernel's axes are put: outputs, inputs of one group, the others."""


def corrected(model: bytes, inputs: Mapping[str, Channels], left: Collection[str] = ()) -> bytes:
    """The model with each bias moved against the shift of its rounded weights.

    Args:
        model: Bytes of a float model.
        inputs: Channels by the names that ``channel_axes`` gave.
        left: Names of the operations that stay float: their weights are not rounded.
    """
    tree = unpack(model)
    for result, source, kernel, bias, order in _weighted(tree):
        if _name(result) in left:
            continue
        values = tree.buffers[bias.buffer].data.view(np.float32)
        weights = tree.buffers[kernel.buffer].data.view(np.float32).reshape(kernel.shape)
        moved = values - rounding_shift(weights.transpose(order), inputs[_name(source)].mean)
        tree.buffers[bias.buffer].data = moved.astype(np.float32).view(np.uint8)
    return pack(tree, len(model))


def channel_axes(model: bytes) -> dict[str, int]:
    """The tensors whose channels ``corrected`` needs, with their channel axis."""
    return {_name(source): -1 for _, source, *_ in _weighted(unpack(model))}


def _weighted(tree: schema.ModelT) -> Iterator[tuple[Any, Any, Any, Any, tuple[int, ...]]]:
    """Result, input, kernel, bias and axis order of operations whose weights are constants."""
    graph = tree.subgraphs[0]
    readers = [int(index) for op in graph.operators for index in op.inputs]
    for op in graph.operators:
        code = tree.operatorCodes[op.opcodeIndex].builtinCode
        if code in _OUTPUTS_FIRST and len(op.inputs) == 3 and op.inputs[2] >= 0:
            source, kernel, bias = (graph.tensors[index] for index in op.inputs)
            constant = all(tree.buffers[t.buffer].data is not None for t in (kernel, bias))
            if constant and readers.count(int(op.inputs[2])) == 1:
                yield graph.tensors[op.outputs[0]], source, kernel, bias, _OUTPUTS_FIRST[code]


def _name(tensor: Any) -> str:
    name = tensor.name
    return name.decode() if isinstance(name, bytes) else str(name)
