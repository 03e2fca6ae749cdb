"""Operators on single values: arithmetic and activations, in whatever layout they come."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from edgeferry.onnx_source.values import Call, Tensor, aligned, spread

Operation = Callable[..., Any]


def unary(operation: Callable[[Any, Call], Any]) -> Callable[[Call], list[Tensor]]:
    """An operator on each value of one tensor."""

    def run(call: Call) -> list[Tensor]:
        x = call.tensor()
        return [Tensor(operation(x.held, call), x.channels_last)]

    return run


def broadcast(operation: Callable[[Any, Any], Any]) -> Callable[[Call], list[Tensor]]:
    """An operator on the values of two or more tensors."""

    def run(call: Call) -> list[Tensor]:
        values, channels_last = aligned([each for each in call.inputs if each is not None])
        return [Tensor(reduce(operation, values), channels_last)]

    return run


def clip(call: Call) -> list[Tensor]:
    """``Clip``; the usual ones as the activations that they are."""
    import tensorflow as tf

    x = call.tensor()
    low, high = call.given(1, "min"), call.given(2, "max")
    low = -np.inf if low is None else float(low)
    high = np.inf if high is None else float(high)
    if (low, high) == (0, 6):
        result = tf.nn.relu6(x.held)
    elif low == 0 and high > np.finfo(np.float32).max / 2:
        result = tf.nn.relu(x.held)
    else:
        result = tf.clip_by_value(x.held, np.float32(low), np.float32(high))
    return [Tensor(result, x.channels_last)]


def prelu(call: Call) -> list[Tensor]:
    """``PRelu`` with slopes that are known."""
    import tensorflow as tf

    x, slope = call.tensor(), call.constant(1)
    if slope is None:
        raise call.refuse("it has no slopes")
    slopes = spread(slope) if x.channels_last else slope
    return [Tensor(tf.nn.relu(x.held) - slopes * tf.nn.relu(-x.held), x.channels_last)]


def where(call: Call) -> list[Tensor]:
    """``Where``."""
    import tensorflow as tf

    (condition, one, other), channels_last = aligned([call.tensor(index) for index in range(3)])
    return [Tensor(tf.where(condition, one, other), channels_last)]


def cast(call: Call) -> list[Tensor]:
    """``Cast``."""
    import tensorflow as tf
    from onnx.helper import tensor_dtype_to_np_dtype

    x, kind = call.tensor(), tensor_dtype_to_np_dtype(call.attributes["to"])
    return [Tensor(tf.cast(x.held, tf.as_dtype(kind)), x.channels_last)]


def hard_sigmoid(x: Any, call: Call) -> Any:
    """``HardSigmoid``; the usual one as a sixth of what engines know."""
    import tensorflow as tf

    alpha, beta = call.attributes.get("alpha", 0.2), call.attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
        return tf.nn.relu6(x + 3.0) * np.float32(1 / 6)
    return tf.clip_by_value(alpha * x + beta, 0.0, 1.0)


def hard_swish(x: Any, call: Call) -> Any:
    """``HardSwish``."""
    import tensorflow as tf

    return x * tf.nn.relu6(x + 3.0) * np.float32(1 / 6)


def gelu(x: Any, call: Call) -> Any:
    """``Gelu``, exact or by tanh."""
    import tensorflow as tf

    approximate = call.attributes.get("approximate", b"none") in (b"tanh", "tanh")
    return tf.nn.gelu(x, approximate=approximate)
