"""Pools."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeferry.onnx_source.values import Call, Tensor
from edgeferry.onnx_source.windows import Windows, pad, windows

_LOWEST = float(np.finfo(np.float32).min)
_NEVER_NEGATIVE = frozenset({"Relu", "Relu6", "Sigmoid", "Softplus"})


def max_pool(call: Call) -> list[Tensor]:
    """``MaxPool``; what pads it may not win, nor widen the range that int8 has to hold."""
    import tensorflow as tf

    x, steps = _windowed(call)
    if call.outputs > 1:
        raise call.refuse("the places of the maxima are asked for")
    padding = "SAME" if steps.padded and steps.same else "VALID"
    if padding == "VALID" and steps.padded:
        x = _bordered(x, steps)
    if steps.dilations == (1, 1):
        result = tf.nn.max_pool2d(x, steps.kernel, steps.strides, padding)
    else:
        raise call.refuse("it is dilated")
    return [Tensor(result, channels_last=True)]


def average_pool(call: Call) -> list[Tensor]:
    """``AveragePool``, with padding counted or not."""
    import tensorflow as tf

    x, steps = _windowed(call)
    counted = bool(call.attributes.get("count_include_pad", 0))
    if steps.dilations != (1, 1):
        raise call.refuse("it is dilated")
    if not steps.padded or (steps.same and not counted):
        padding = "SAME" if steps.padded else "VALID"
        return [Tensor(tf.nn.avg_pool2d(x, steps.kernel, steps.strides, padding), True)]
    result = tf.nn.avg_pool2d(pad(x, steps.pads), steps.kernel, steps.strides, "VALID")
    shares = _shares(call, x, steps, counted)
    return [Tensor(result if (shares == 1).all() else result / shares, channels_last=True)]


def global_pool(call: Call) -> list[Tensor]:
    """``GlobalAveragePool`` and ``GlobalMaxPool``."""
    import tensorflow as tf

    reduce = tf.reduce_mean if call.kind == "GlobalAveragePool" else tf.reduce_max
    return [Tensor(reduce(call.tensor().last(), [1, 2], keepdims=True), channels_last=True)]


def _windowed(call: Call) -> tuple[Any, Windows]:
    x = call.tensor()
    if x.rank != 4:
        raise call.refuse(f"it is of rank {x.rank}, not of pictures")
    return x.last(), windows(call, call.attributes["kernel_shape"], x.shape[2:])


def _bordered(x: Any, steps: Windows) -> Any:
    """Pad with 0 where nothing is below it; else with what lies in the same window anyway."""
    import tensorflow as tf

    if not tf.executing_eagerly() and x.op.type in _NEVER_NEGATIVE:
        return pad(x, steps.pads)
    largest = [max(ends) for ends in steps.pads]
    if all(2 * ends < size for ends, size in zip(largest, steps.kernel, strict=True)):
        return tf.pad(x, [(0, 0), *steps.pads, (0, 0)], mode="REFLECT")
    return pad(x, steps.pads, _LOWEST)


def _shares(call: Call, x: Any, steps: Windows, counted: bool) -> Any:
    """What share of each window counts: float32 ``[1, rows, columns, 1]``."""
    sides = []
    for axis in range(2):
        size, (before, after) = x.shape[1 + axis], steps.pads[axis]
        if size is None:
            raise call.refuse("its padding depends on a size that is not known")
        told = call.attributes.get("pads", (0, 0, 0, 0))
        length = before + size + after
        counts = np.zeros(length, np.float32)
        low, high = (0, told[axis] + size + told[axis + 2]) if counted else (before, before + size)
        counts[low:high] = 1
        kernel, stride = steps.kernel[axis], steps.strides[axis]
        starts = range(0, length - kernel + 1, stride)
        sides.append(np.array([counts[at : at + kernel].mean() for at in starts], np.float32))
    return (sides[0][:, None] * sides[1])[None, :, :, None]
