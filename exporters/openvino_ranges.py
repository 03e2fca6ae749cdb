"""Our own ranges in the FakeQuantize operations that NNCF places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.histogram import Range
from edgeferry.exporters.channels import Channels
from edgeferry.exporters.openvino_network import tensor_name

if TYPE_CHECKING:
    from openvino import Model

_LEVELS = 256
_SIGNED_LOW = -_LEVELS / (_LEVELS - 2)
"""Of the largest value: what the lowest of the integers -128 to 127 stands for."""
_SMALLEST = 1e-5
"""A range that is not empty, for activations that are all 0."""


def put_ranges(model: Model, ranges: Mapping[str, Range], channels: Mapping[str, Channels]) -> None:
    """Give every quantized activation its range, symmetric as the CPU plugin wants it.

    Activations that NNCF quantizes by channel (those that depthwise convolutions read) keep to
    the range of each channel inside that of the tensor. Others that are joined get one in common.

    Args:
        model: Quantized by NNCF; edited in place.
        ranges: By tensor name, as ``tensor_name`` gives it.
        channels: Of the tensors that may be quantized by channel, by the same names.
    """
    joined = _joined(model)
    for op in _quantized_activations(model):
        name = tensor_name(op.input_value(0))
        shape = tuple(op.input_value(1).get_node().data.shape)
        own = channels.get(name) if np.prod(shape) > 1 else None
        if own is not None:
            whole = ranges[name]
            low, high = np.maximum(own.low, whole.low), np.minimum(own.high, whole.high)
            _set_limits(op, low.reshape(shape), high.reshape(shape))
        else:
            together = joined.get(op.get_friendly_name(), [name])
            lowest = min(ranges[each].low for each in together)
            highest = max(ranges[each].high for each in together)
            _set_limits(op, np.full(shape, lowest), np.full(shape, highest))


def _quantized_activations(model: Model) -> Iterator[Any]:
    for op in model.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize" and _source_type(op) != "Constant":
            yield op


def _set_limits(op: Any, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    from openvino import opset13

    largest = np.maximum(np.maximum(high, -low), _SMALLEST)
    signed = bool((low < 0).any())
    limits = (largest * _SIGNED_LOW if signed else np.zeros_like(largest), largest)
    for index, limit in enumerate((*limits, *limits), 1):
        constant = opset13.constant(limit.astype(np.float32))
        constant.set_friendly_name(op.input_value(index).get_node().get_friendly_name())
        op.input(index).replace_source_output(constant.output(0))


def _joined(model: Model) -> dict[str, list[str]]:
    """By quantizer, the activations that are joined behind it and so need one scale."""
    found: dict[str, list[str]] = {}
    for op in model.get_ordered_ops():
        if op.get_type_name() == "Concat":
            quantizers = [
                node
                for value in op.input_values()
                if (node := value.get_node()).get_type_name() == "FakeQuantize"
            ]
            names = [tensor_name(node.input_value(0)) for node in quantizers]
            found |= {node.get_friendly_name(): names for node in quantizers}
    return found


def _source_type(op: Any) -> str:
    return str(op.input_value(0).get_node().get_type_name())
