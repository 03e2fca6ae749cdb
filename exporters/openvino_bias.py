"""Bias correction on a float OpenVINO model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.bias_correction import rounding_shift
from edgeferry.exporters.channels import Channels
from edgeferry.exporters.openvino_network import tensor_name

if TYPE_CHECKING:
    from openvino import Model

_CHANNEL_AXIS = {"Convolution": 1, "GroupConvolution": 1, "MatMul": -1}
_CARRYING = frozenset({"MaxPool", "Pad", "Concat"})
"""NNCF quantizes what these read in place of what they give."""


@dataclass(frozen=True)
class _Weighted:
    """A weighted operation, the addition of its bias, and which input of that the bias is."""

    node: Any
    addition: Any
    bias: int


def corrected(model: Model, inputs: Mapping[str, Channels], left: Collection[str] = ()) -> Model:
    """A copy of the model with each bias moved against the shift of its rounded weights.

    Args:
        model: A float model.
        inputs: Channels by the names that ``channel_axes`` gave.
        left: Names of the operations that stay float: their weights are not rounded.
    """
    from openvino import opset13

    copy = model.clone()
    for found in _weighted(copy):
        if found.node.get_friendly_name() in left:
            continue
        bias = found.addition.input_value(found.bias).get_node().data
        shift = rounding_shift(
            _outputs_first(found.node), inputs[tensor_name(found.node.input_value(0))].mean
        )
        axis = _CHANNEL_AXIS[found.node.get_type_name()]
        shape = [1] * len(found.node.output(0).partial_shape)
        shape[axis] = len(shift)
        moved = opset13.constant((bias - shift.reshape(shape)).astype(np.float32))
        found.addition.input(found.bias).replace_source_output(moved.output(0))
    return copy


def channel_axes(model: Model) -> dict[str, int]:
    """The tensors whose channels quantization needs, with their channel axis."""
    axes: dict[str, int] = {}
    for op in model.get_ordered_ops():
        if op.get_type_name() in _CHANNEL_AXIS and _is_constant(op, 1):
            axis = _CHANNEL_AXIS[op.get_type_name()]
            axes[tensor_name(op.input_value(0))] = axis
            if op.get_type_name() == "GroupConvolution":
                axes |= dict.fromkeys(_carried(op.input_value(0)), axis)
    return axes


def _carried(value: Any) -> Iterator[str]:
    """Tensors that may be quantized by channel in place of one."""
    maker = value.get_node()
    if maker.get_type_name() in _CARRYING:
        for source in maker.input_values():
            if source.get_node().get_type_name() not in ("Constant", "Parameter"):
                yield tensor_name(source)
                yield from _carried(source)


def _weighted(model: Model) -> Iterator[_Weighted]:
    """Operations with a constant kernel whose result only a constant bias is added to."""
    for op in model.get_ordered_ops():
        if op.get_type_name() not in _CHANNEL_AXIS or not _is_constant(op, 1):
            continue
        readers = list(op.output(0).get_target_inputs())
        addition = readers[0].get_node() if len(readers) == 1 else None
        if addition is None or addition.get_type_name() != "Add":
            continue
        bias = 1 - readers[0].get_index()
        if _is_constant(addition, bias) and not _turns_weights(op):
            yield _Weighted(op, addition, bias)


def _turns_weights(op: Any) -> bool:
    """Whether it is a product whose first side is turned: its channels are elsewhere."""
    return op.get_type_name() == "MatMul" and bool(op.get_attributes()["transpose_a"])


def _outputs_first(op: Any) -> NDArray[np.float32]:
    """The kernel, ``[outputs, inputs of one group, ...]``."""
    kernel: NDArray[np.float32] = op.input_value(1).get_node().data
    if op.get_type_name() == "GroupConvolution":
        return kernel.reshape(-1, *kernel.shape[2:])
    if op.get_type_name() == "MatMul" and not op.get_attributes()["transpose_b"]:
        return kernel.T
    return kernel


def _is_constant(op: Any, index: int) -> bool:
    return bool(op.input_value(index).get_node().get_type_name() == "Constant")
