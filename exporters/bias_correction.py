"""Taking back the shift that rounding the weights to int8 gives to each output channel.

Rounded weights move the mean of a convolution's outputs by the rounding error times the mean
input. That is known before quantization, so the bias takes it back; cf. Nagel et al., 2019,
section 4.2, https://arxiv.org/abs/1906.04721 (with means measured, not derived).
"""

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127


def rounding_shift(
    kernel: NDArray[np.float32], input_means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far rounding a kernel to int8 moves the mean of each output channel.

    Args:
        kernel: ``[outputs, inputs of one group, ...]``; quantized symmetrically per output.
        input_means: ``[inputs]``, of all groups.

    Returns:
        Float64 ``[outputs]``.
    """
    outputs, inputs = kernel.shape[:2]
    weights = kernel.astype(np.float64).reshape(outputs, inputs, -1)
    scale = np.abs(weights).max(axis=(1, 2), keepdims=True) / _LARGEST
    scale[scale == 0] = 1
    errors = (np.rint(weights / scale) * scale - weights).sum(axis=2)
    groups = len(input_means) // inputs
    means = input_means.reshape(groups, inputs).repeat(outputs // groups, axis=0)
    return np.asarray((errors * means).sum(axis=1))
