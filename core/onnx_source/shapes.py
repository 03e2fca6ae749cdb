"""Operators that move values about: shapes, axes, parts and borders."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from edgeferry.onnx_source.values import (
    AXES,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Call,
    Tensor,
    Value,
    aligned,
)


def _axes(call: Call, axes: Any, rank: int, channels_last: bool) -> list[int]:
    plain = [int(axis) % rank for axis in axes]
    return [AXES[axis] for axis in plain] if channels_last else plain


def reshape(call: Call) -> list[Value]:
    """``Reshape``, to a shape that may be computed."""
    import tensorflow as tf

    x, told = call.tensor(), call.inputs[1] if len(call.inputs) > 1 else None
    if isinstance(told, Tensor):
        return [Tensor(tf.reshape(x.first(), told.held))]
    wanted = [int(size) for size in call.given(1, "shape")]
    if not call.attributes.get("allowzero", 0):
        sizes = x.shape
        kept = [sizes[at] if size == 0 else size for at, size in enumerate(wanted)]
        if kept.count(None) + kept.count(-1) > 1:
            dynamic = tf.shape(x.first())
            return [
                Tensor(
                    tf.reshape(
                        x.first(),
                        [dynamic[at] if size is None else size for at, size in enumerate(kept)],
                    )
                )
            ]
        wanted = [-1 if size is None else size for size in kept]
    return [Tensor(tf.reshape(_flat_pixels(x) if len(wanted) == 2 else x.first(), wanted))]


def flatten(call: Call) -> list[Value]:
    """``Flatten`` to two axes."""
    import tensorflow as tf

    x, axis = call.tensor(), int(call.attributes.get("axis", 1))
    sizes = x.shape
    axis = axis % (len(sizes) + 1) if axis < 0 else axis
    before, after = (_known(part) for part in (sizes[:axis], sizes[axis:]))
    if after is None or (before is None and axis > 1):
        raise call.refuse("its size is not known")
    rows = -1 if before is None else prod(before)
    return [Tensor(tf.reshape(_flat_pixels(x), [rows, prod(after)]))]


def _known(sizes: Sequence[int | None]) -> list[int] | None:
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(sizes) else None


def _flat_pixels(x: Tensor) -> Any:
    """The values in the graph's order; one pixel's are so in both layouts."""
    return x.held if x.channels_last and x.shape[2:] == [1, 1] else x.first()


def transpose(call: Call) -> list[Value]:
    """``Transpose``; from one layout of pictures to the other nothing is moved."""
    import tensorflow as tf

    x = call.tensor()
    order = tuple(call.attributes.get("perm", reversed(range(x.rank))))
    if x.channels_last and order == CHANNELS_LAST:
        return [Tensor(x.held)]
    if x.rank == 4 and not x.channels_last and order == CHANNELS_FIRST:
        return [Tensor(x.held, channels_last=True)]
    return [Tensor(tf.transpose(x.first(), order))]


def concatenation(call: Call) -> list[Value]:
    """``Concat``."""
    import tensorflow as tf

    tensors = [call.tensor(index) for index in range(len(call.inputs))]
    axis = int(call.attributes["axis"])
    if any(each.channels_last for each in tensors):
        (place,) = _axes(call, [axis], 4, True)
        return [Tensor(tf.concat([each.last() for each in tensors], place), channels_last=True)]
    return [Tensor(tf.concat([each.held for each in tensors], axis))]


def split(call: Call) -> list[Value]:
    """``Split``, into equal or given parts."""
    import tensorflow as tf

    x = call.tensor()
    (axis,) = _axes(call, [call.attributes.get("axis", 0)], x.rank, x.channels_last)
    sizes = call.given(1, "split")
    parts = tf.split(x.held, call.outputs if sizes is None else sizes, axis)
    return [Tensor(part, x.channels_last) for part in parts]


def part(call: Call) -> list[Value]:
    """``Slice``."""
    x = call.tensor()
    starts, ends = call.given(1, "starts"), call.given(2, "ends")
    axes = call.given(3, "axes", list(range(len(starts))))
    steps = call.given(4, "steps", [1] * len(starts))
    slices: list[slice] = [slice(None)] * x.rank
    for axis, *limits in zip(
        _axes(call, axes, x.rank, x.channels_last), starts, ends, steps, strict=True
    ):
        slices[axis] = _limited(*limits)
    return [Tensor(x.held[tuple(slices)], x.channels_last)]


def _limited(start: int, end: int, step: int) -> slice:
    far = np.iinfo(np.int32).max
    last = None if end >= far or (step < 0 and end <= -far) else end
    return slice(None if start >= far else start, last, step)


def border(call: Call) -> list[Value]:
    """``Pad``."""
    import tensorflow as tf

    x = call.tensor()
    pads = call.given(1, "pads")
    value = call.given(2, "value", 0.0)
    mode = call.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    axes = call.given(3, "axes", list(range(x.rank)))
    if mode not in ("constant", "reflect") or min(pads) < 0:
        raise call.refuse(f"it pads by {mode}, or cuts")
    ends = [(0, 0)] * x.rank
    for at, axis in enumerate(_axes(call, axes, x.rank, x.channels_last)):
        ends[axis] = (int(pads[at]), int(pads[at + len(axes)]))
    if mode == "reflect":
        return [Tensor(tf.pad(x.held, ends, "REFLECT"), x.channels_last)]
    filled = float(np.ravel(value)[0]) if value is not None else 0.0
    return [Tensor(tf.pad(x.held, ends, constant_values=filled), x.channels_last)]


def squeeze(call: Call) -> list[Value]:
    """``Squeeze``."""
    import tensorflow as tf

    x = call.tensor()
    axes = call.given(1, "axes")
    if axes is None:
        axes = [at for at, size in enumerate(x.shape) if size == 1]
    plain = [int(axis) % x.rank for axis in axes]
    if x.channels_last and sorted(plain) == [2, 3]:
        return [Tensor(tf.squeeze(x.held, [1, 2]))]
    return [Tensor(tf.squeeze(x.first(), plain))]


def unsqueeze(call: Call) -> list[Value]:
    """``Unsqueeze``."""
    import tensorflow as tf

    x, axes = call.tensor(), call.given(1, "axes")
    result = x.first()
    for axis in sorted(int(each) % (x.rank + len(axes)) for each in axes):
        result = tf.expand_dims(result, axis)
    return [Tensor(result)]


def gather(call: Call) -> list[Value]:
    """``Gather``."""
    import tensorflow as tf

    x, indices = call.tensor(), call.constant(1)
    if indices is None:
        raise call.refuse("it has no indices")
    axis = int(call.attributes.get("axis", 0)) % x.rank
    size = x.shape[axis]
    if (indices < 0).any() and size is None:
        raise call.refuse("it counts from the end of a size that is not known")
    plain = np.where(indices < 0, indices + (size or 0), indices)
    return [Tensor(tf.gather(x.first(), plain, axis=axis))]


def shape(call: Call) -> list[Value]:
    """``Shape``: a constant, if it is known."""
    import tensorflow as tf

    x = call.tensor()
    start, end = int(call.attributes.get("start", 0)), call.attributes.get("end")
    sizes = x.shape[start:end]
    if None not in sizes:
        return [np.asarray(sizes, np.int64)]
    return [Tensor(tf.shape(x.first(), out_type=tf.int64)[start:end])]


def expand(call: Call) -> list[Value]:
    """``Expand``."""
    import tensorflow as tf

    x, told = call.tensor(), call.constant(1)
    if told is None:
        raise call.refuse("it has no shape")
    ones = tf.ones([int(size) for size in told], x.held.dtype)
    (one, other), channels_last = aligned([x, Tensor(ones)])
    return [Tensor(one * other, channels_last)]


def tile(call: Call) -> list[Value]:
    """``Tile``."""
    import tensorflow as tf

    x, told = call.tensor(), call.constant(1)
    if told is None:
        raise call.refuse("it has no repeats")
    repeats = [int(count) for count in told]
    if x.channels_last:
        repeats = [repeats[axis] for axis in CHANNELS_LAST]
    return [Tensor(tf.tile(x.held, repeats), x.channels_last)]
