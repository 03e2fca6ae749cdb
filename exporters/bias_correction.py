"""Taking back the shift that rounding the weights to int8 gives to each output channel.

Rounded weights move the mean of a convolution's outputs by the rounding error times the mean
input. That is known before quantization, so the bias takes it back; cf. Nagel et al., 2019,
section 4.2, https://arxiv.org/abs/1906.04721 (with means measured, not derived).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127


class ChannelMeans:
    """Mean of each channel of some activations, over all pictures; keeps no tensor.

    Args:
        channel_axis: By tensor name, which of its axes is the channels'.
    """

    def __init__(self, channel_axis: Mapping[str, int]) -> None:
        self._axes = channel_axis
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._pictures = 0

    def observe(self, activations: Mapping[str, NDArray[Any]]) -> None:
        """Take in the activations of one picture, by tensor name."""
        self._pictures += 1
        for name, axis in self._axes.items():
            values = activations[name]
            others = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
            mean = values.mean(axis=others, dtype=np.float64)
            self._sums[name] = self._sums.get(name, np.float64(0)) + mean

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Float64 ``[channels]`` by tensor name."""
        return {name: total / self._pictures for name, total in self._sums.items()}


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
