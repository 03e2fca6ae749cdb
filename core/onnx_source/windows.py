"""What convolutions and pools have in common: where their windows stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from edgeferry.onnx_source.values import Call

Pads = tuple[tuple[int, int], tuple[int, int]]
"""Before and after, by height and width."""


@dataclass(frozen=True)
class Windows:
    """Windows over a picture.

    Attributes:
        kernel: Height and width, pixels.
        strides: From one to the next.
        dilations: From one pixel of it to the next.
        pads: Around the picture.
        same: Whether the pads are those that TensorFlow's ``SAME`` gives.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: Pads
    same: bool

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any(end for side in self.pads for end in side)


def windows(call: Call, kernel: Sequence[int], sizes: Sequence[int | None]) -> Windows:
    """The windows of a convolution or a pool.

    Args:
        call: The operator.
        kernel: Height and width of a window.
        sizes: Height and width of the picture; None where not known.

    Raises:
        SourceError: If they cannot be told beforehand, or are not those of pictures.
    """
    if len(kernel) != 2:
        raise call.refuse(f"its kernel has {len(kernel)} axes, not height and width")
    told = call.attributes
    strides, dilations = (tuple(told.get(key, (1, 1))) for key in ("strides", "dilations"))
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    auto = told.get("auto_pad", "NOTSET")
    mode = auto if isinstance(auto, str) else auto.decode()
    ends = []
    for axis in range(2):
        if mode.startswith("SAME"):
            whole = _same(call, sizes[axis], spans[axis], strides[axis])
            ends.append(whole if mode == "SAME_UPPER" else whole[::-1])
            continue
        given = (0, 0, 0, 0) if mode == "VALID" else told.get("pads", (0, 0, 0, 0))
        before, after = given[axis], given[axis + 2]
        if told.get("ceil_mode", 0):
            after = _rounded_up(call, sizes[axis], spans[axis], strides[axis], before, after)
        ends.append((before, after))
    pads = (ends[0], ends[1])
    same = all(
        size is not None and pads[axis] == _same(call, size, spans[axis], strides[axis])
        for axis, size in enumerate(sizes)
    )
    return Windows((kernel[0], kernel[1]), strides, dilations, pads, same)


def pad(x: Any, pads: Pads, value: float = 0.0) -> Any:
    """A tensor ``[N, H, W, C]`` with a border."""
    import tensorflow as tf

    return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)


def _same(call: Call, size: int | None, span: int, stride: int) -> tuple[int, int]:
    """What ``SAME`` adds: the odd pixel at the end."""
    if size is None:
        raise call.refuse("its padding depends on a size that is not known")
    missing = max(0, (ceil(size / stride) - 1) * stride + span - size)
    return missing // 2, missing - missing // 2


def _rounded_up(
    call: Call, size: int | None, span: int, stride: int, before: int, after: int
) -> int:
    """The padding at the end with which the last, partial window counts too."""
    if size is None:
        raise call.refuse("its padding depends on a size that is not known")
    count = ceil((size + before + after - span) / stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1  # it would begin behind the picture
    return max(after, (count - 1) * stride + span - size - before)
