"""Bias correction on a float ONNX model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.exporters.bias_correction import rounding_shift
from edgeferry.exporters.channels import Channels

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def corrected(
    model: ModelProto, inputs: Mapping[str, Channels], left: Collection[str] = ()
) -> ModelProto:
    """The model with each bias moved against the shift of its rounded weights.

    Args:
        model: A float model.
        inputs: Channels by the names that ``channel_axes`` gave.
        left: Names of the operations that stay float: their weights are not rounded.
    """
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    values = {value.name: value for value in copy.graph.initializer}
    for node in [node for node in _weighted(copy) if node.name not in left]:
        kernel, bias = (numpy_helper.to_array(values[name]) for name in node.input[1:3])
        outputs_first = kernel if node.op_type == "Conv" or _transposed(node) else kernel.T
        moved = bias - rounding_shift(outputs_first, inputs[node.input[0]].mean)
        values[node.input[2]].CopyFrom(
            numpy_helper.from_array(moved.astype(np.float32), node.input[2])
        )
    return copy


def channel_axes(model: ModelProto) -> dict[str, int]:
    """The tensors whose channels ``corrected`` needs, with their channel axis."""
    return {node.input[0]: 1 for node in _weighted(model)}


def _weighted(model: ModelProto) -> Iterator[NodeProto]:
    """Nodes with a constant kernel and a constant bias that no other node shares."""
    constants = {value.name for value in model.graph.initializer}
    readers = [name for node in model.graph.node for name in node.input]
    for node in model.graph.node:
        own = len(node.input) == 3 and constants.issuperset(node.input[1:])
        if node.op_type in ("Conv", "Gemm") and own and readers.count(node.input[2]) == 1:
            yield node


def _transposed(node: NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
