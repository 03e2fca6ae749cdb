"""Convolutions, and what they are followed by: normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeferry.onnx_source.values import Array, Call, Tensor
from edgeferry.onnx_source.windows import pad, windows


def convolution(call: Call) -> list[Tensor]:
    """``Conv``, grouped or depthwise too."""
    import tensorflow as tf

    x, kernel, bias = call.tensor(), call.constant(1), call.constant(2)
    if kernel is None or x.rank != 4:
        raise call.refuse(f"it is of rank {x.rank}, not of pictures")
    groups = int(call.attributes.get("group", 1))
    steps = windows(call, kernel.shape[2:], x.shape[2:])
    held = x.last()
    if steps.padded and not steps.same:
        held = pad(held, steps.pads)
    padding = "SAME" if steps.padded and steps.same else "VALID"
    if groups > 1 and kernel.shape[1] == 1 and x.shape[1] == groups:
        laid = kernel.transpose(2, 3, 1, 0).reshape(*kernel.shape[2:], groups, -1)
        strides = [1, *steps.strides, 1]
        result = tf.nn.depthwise_conv2d(held, laid, strides, padding, dilations=steps.dilations)
    else:
        parts = zip(
            tf.split(held, groups, axis=-1) if groups > 1 else [held],
            np.split(kernel, groups),
            strict=True,
        )
        results = [
            tf.nn.conv2d(
                part, own.transpose(2, 3, 1, 0), steps.strides, padding, dilations=steps.dilations
            )
            for part, own in parts
        ]
        result = tf.concat(results, axis=-1) if groups > 1 else results[0]
    return [Tensor(result if bias is None else tf.nn.bias_add(result, bias), channels_last=True)]


def transposed_convolution(call: Call) -> list[Tensor]:
    """``ConvTranspose``: the whole result, less its border."""
    import tensorflow as tf

    x, kernel, bias = call.tensor(), call.constant(1), call.constant(2)
    if kernel is None or x.rank != 4 or int(call.attributes.get("group", 1)) != 1:
        raise call.refuse("it is grouped, or not of pictures")
    told = call.attributes
    if "output_shape" in told or any(step != 1 for step in told.get("dilations", (1, 1))):
        raise call.refuse("its output shape is told, or it is dilated")
    auto = told.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", b"NOTSET", "VALID", b"VALID"):
        raise call.refuse("its padding follows from the picture")
    strides, pads = told.get("strides", (1, 1)), told.get("pads", (0, 0, 0, 0))
    extra = told.get("output_padding", (0, 0))
    held = x.last()
    sizes = [size if size is not None else tf.shape(held)[at] for at, size in enumerate(held.shape)]
    whole = [
        (sizes[1 + axis] - 1) * strides[axis] + kernel.shape[2 + axis] + extra[axis]
        for axis in range(2)
    ]
    result = tf.nn.conv2d_transpose(
        held,
        kernel.transpose(2, 3, 1, 0),
        [sizes[0], *whole, kernel.shape[1]],
        strides,
        "VALID",
    )
    if any(pads):
        ends = [whole[axis] - pads[axis + 2] for axis in range(2)]
        result = result[:, pads[0] : ends[0], pads[1] : ends[1], :]
    return [Tensor(result if bias is None else tf.nn.bias_add(result, bias), channels_last=True)]


def batch_normalization(call: Call) -> list[Tensor]:
    """``BatchNormalization`` in inference: one product and one sum for each channel."""
    x = call.tensor()
    scale, bias, mean, variance = (_known(call, index) for index in range(1, 5))
    factor = scale / np.sqrt(variance + call.attributes.get("epsilon", 1e-5))
    offset = bias - mean * factor
    if x.rank == 4:
        result = x.last() * factor.astype(np.float32) + offset.astype(np.float32)
        return [Tensor(result, channels_last=True)]
    if x.rank != 2:
        raise call.refuse(f"it is of rank {x.rank}")
    return [Tensor(x.held * factor.astype(np.float32) + offset.astype(np.float32))]


def instance_normalization(call: Call) -> list[Tensor]:
    """``InstanceNormalization``: over the pixels of each channel."""
    import tensorflow as tf

    held, scale, bias = call.tensor().last(), _known(call, 1), _known(call, 2)
    mean, variance = tf.nn.moments(held, [1, 2], keepdims=True)
    epsilon = call.attributes.get("epsilon", 1e-5)
    result = (held - mean) * tf.math.rsqrt(variance + epsilon) * scale + bias
    return [Tensor(result, channels_last=True)]


def layer_normalization(call: Call) -> list[Tensor]:
    """``LayerNormalization`` over the last axes."""
    import tensorflow as tf

    x, scale, bias = call.tensor().first(), call.constant(1), call.constant(2)
    axis = int(call.attributes.get("axis", -1)) % len(x.shape)
    mean, variance = tf.nn.moments(x, list(range(axis, len(x.shape))), keepdims=True)
    result = (x - mean) * tf.math.rsqrt(variance + call.attributes.get("epsilon", 1e-5))
    result = result if scale is None else result * scale
    return [Tensor(result if bias is None else result + bias)]


def local_response_normalization(call: Call) -> list[Tensor]:
    """``LRN``: ONNX divides alpha by the number of channels that are summed."""
    import tensorflow as tf

    told, size = call.attributes, int(call.attributes["size"])
    if size % 2 == 0:
        raise call.refuse("it sums an even number of channels")
    result: Any = tf.nn.lrn(
        call.tensor().last(),
        size // 2,
        told.get("bias", 1.0),
        told.get("alpha", 1e-4) / size,
        told.get("beta", 0.75),
    )
    return [Tensor(result, channels_last=True)]


def _known(call: Call, index: int) -> Array:
    found = call.constant(index)
    if found is None:
        raise call.refuse(f"input {index} is missing")
    return found
