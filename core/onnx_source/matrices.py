"""Matrix products, and what is computed along axes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from edgeferry.onnx_source.values import AXES, Call, Tensor


def gemm(call: Call) -> list[Tensor]:
    """``Gemm``: alpha A B + beta C."""
    import tensorflow as tf

    told, x, kernel, bias = call.attributes, call.tensor().first(), call.inputs[1], None
    if len(call.inputs) > 2:
        bias = call.constant(2)
    x = tf.transpose(x) if told.get("transA", 0) else x
    if isinstance(kernel, Tensor) or kernel is None:
        raise call.refuse("its weights depend on the picture")
    laid = kernel.T if told.get("transB", 0) else kernel
    result = tf.matmul(x, (laid * np.float32(told.get("alpha", 1.0))).astype(laid.dtype))
    if bias is None:
        return [Tensor(result)]
    offset = (bias * np.float32(told.get("beta", 1.0))).astype(bias.dtype)
    if offset.ndim == 1 or offset.shape[:-1] == (1,) * (offset.ndim - 1):
        row = np.broadcast_to(offset.reshape(-1), (laid.shape[1],))
        return [Tensor(tf.nn.bias_add(result, row))]
    return [Tensor(result + offset)]


def product(call: Call) -> list[Tensor]:
    """``MatMul``."""
    import tensorflow as tf

    one, other = (each.first() if isinstance(each, Tensor) else each for each in call.inputs[:2])
    return [Tensor(tf.matmul(one, other))]


def softmax(call: Call) -> list[Tensor]:
    """``Softmax`` and ``LogSoftmax``; before opset 13 over all axes from one on."""
    import tensorflow as tf

    x = call.tensor()
    run = tf.nn.softmax if call.kind == "Softmax" else tf.nn.log_softmax
    if call.opset >= 13:
        axis = int(call.attributes.get("axis", -1)) % x.rank
        return [Tensor(run(x.held, AXES[axis] if x.channels_last else axis), x.channels_last)]
    axis, sizes = int(call.attributes.get("axis", 1)) % x.rank, x.shape
    if all(size == 1 for size in sizes[axis + 1 :]):
        return [Tensor(run(x.held, AXES[axis] if x.channels_last else axis), x.channels_last)]
    behind = [size for size in sizes[1:] if size is not None]
    if axis != 1 or len(behind) < len(sizes) - 1:
        raise call.refuse(f"it is over all axes from {axis} on")
    flat = tf.reshape(x.first(), [-1, prod(behind)])
    return [Tensor(tf.reshape(run(flat), [-1, *behind]))]


def reduced(reduce: Callable[..., Any]) -> Callable[[Call], list[Tensor]]:
    """An operator that takes some axes together."""

    def run(call: Call) -> list[Tensor]:
        x = call.tensor()
        axes = call.given(1, "axes")
        keep = bool(call.attributes.get("keepdims", 1))
        if axes is None and call.attributes.get("noop_with_empty_axes", 0):
            return [x]
        plain = list(range(x.rank)) if axes is None else [int(axis) % x.rank for axis in axes]
        if x.channels_last and (keep or sorted(plain) == [2, 3]):
            result = reduce(x.held, [AXES[axis] for axis in plain], keepdims=keep)
            return [Tensor(result, channels_last=keep)]
        return [Tensor(reduce(x.first(), plain, keepdims=keep))]

    return run


def largest(call: Call) -> list[Tensor]:
    """``ArgMax``."""
    import tensorflow as tf

    x, axis = call.tensor().first(), int(call.attributes.get("axis", 0))
    result = tf.argmax(x, axis)
    keep = call.attributes.get("keepdims", 1)
    return [Tensor(tf.expand_dims(result, axis) if keep else result)]
