"""What a file takes and gives, as its engine tells it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a file, as its engine tells it.

    Attributes:
        name: Its name.
        dtype: Numpy's name of its type, e.g. ``float32``.
        shape: Its sizes, None where dynamic.
        scale: One step of a quantized tensor; 0 where it is not quantized.
        zero_point: The integer that stands for 0.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Tensors:
    """What a file takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape as people write it: N where the first axis is dynamic, else a question mark."""
    named = ("?" if size is None else str(size) for size in shape[1:])
    first = ["N" if shape[0] is None else str(shape[0])] if shape else []
    return f"[{', '.join([*first, *named])}]"
