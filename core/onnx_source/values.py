"""Values on the way through an ONNX graph: constants, and tensors in one of two layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import SourceError

Array = NDArray[Any]
CHANNELS_LAST = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)
AXES = {0: 0, 1: 3, 2: 1, 3: 2}
"""Where an axis of ``[N, C, H, W]`` is in ``[N, H, W, C]``."""


@dataclass(frozen=True)
class Tensor:
    """A value that depends on the picture.

    Attributes:
        held: The TensorFlow tensor.
        channels_last: Whether it is held as ``[N, H, W, C]`` where the graph says
            ``[N, C, H, W]``; convolutions and pools run that way, and what is between them.
    """

    held: Any
    channels_last: bool = False

    @property
    def rank(self) -> int:
        """Number of its axes."""
        return len(self.held.shape)

    @property
    def shape(self) -> list[int | None]:
        """Its shape as the graph says it, None where it is not known."""
        sizes: list[int | None] = self.held.shape.as_list()
        return [sizes[AXES[axis]] for axis in range(4)] if self.channels_last else sizes

    def first(self) -> Any:
        """The TensorFlow tensor in the graph's own layout."""
        import tensorflow as tf

        return tf.transpose(self.held, CHANNELS_FIRST) if self.channels_last else self.held

    def last(self) -> Any:
        """The TensorFlow tensor as ``[N, H, W, C]``; of rank 4 only."""
        import tensorflow as tf

        return self.held if self.channels_last else tf.transpose(self.held, CHANNELS_LAST)


Value = Tensor | Array
"""A constant is a numpy array, in the graph's own layout."""


@dataclass(frozen=True)
class Call:
    """One operator, with what it is given.

    Attributes:
        kind: Its name.
        name: The node's, for errors.
        inputs: Its inputs in order; None for one that is left out.
        attributes: Its attributes.
        opset: The version of the operators.
        outputs: How many outputs are used.
    """

    kind: str
    name: str
    inputs: Sequence[Value | None]
    attributes: Mapping[str, Any]
    opset: int
    outputs: int

    def refuse(self, why: str) -> SourceError:
        """The error that this operator cannot be taken over."""
        return SourceError(
            f"operator {self.kind} of node {self.name!r} (opset {self.opset}) cannot be taken "
            f"over: {why}"
        )

    def tensor(self, index: int = 0) -> Tensor:
        """An input as a tensor; a constant becomes one."""
        import tensorflow as tf

        value = self.inputs[index]
        if isinstance(value, Tensor):
            return value
        if value is None:
            raise self.refuse(f"input {index} is missing")
        return Tensor(tf.constant(value))

    def constant(self, index: int) -> Array | None:
        """An input as a constant; None where it is left out.

        Raises:
            SourceError: If it depends on the picture.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Tensor):
            raise self.refuse(f"input {index} depends on the picture")
        return value

    def given(self, index: int, attribute: str, default: Any = None) -> Any:
        """What newer opsets have as an input and older ones as an attribute."""
        found = self.constant(index)
        if found is not None:
            return found.tolist()
        return self.attributes.get(attribute, default)


def spread(constant: Array) -> Array:
    """A constant that is broadcast over ``[N, C, H, W]``, for ``[N, H, W, C]``."""
    if constant.ndim == 0 or constant.size == 1:
        return constant.reshape(())
    return constant.reshape((1,) * (4 - constant.ndim) + constant.shape).transpose(CHANNELS_LAST)


def aligned(values: Sequence[Value]) -> tuple[list[Any], bool]:
    """Values for an operation that broadcasts, all in one layout.

    Returns:
        TensorFlow tensors and numpy arrays, and whether that is channels-last.
    """
    import tensorflow as tf

    tensors = [value for value in values if isinstance(value, Tensor)]
    if not any(tensor.channels_last for tensor in tensors):
        return [each.held if isinstance(each, Tensor) else each for each in values], False
    laid: list[Any] = []
    for value in values:
        if not isinstance(value, Tensor):
            laid.append(spread(value))
        elif value.rank in (0, 4):
            laid.append(value.last() if value.rank else value.held)
        else:
            ones = [1] * (4 - value.rank)
            laid.append(tf.transpose(tf.reshape(value.held, [*ones, *value.shape]), CHANNELS_LAST))
    return laid, True


def as_array(values: Any) -> Array:
    """A list of numbers, or an array, as an array."""
    return np.asarray(values)
