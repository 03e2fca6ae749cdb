"""Whether a calibration set is enough: in number, in variety, and of the right kind."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.histogram import Range

FEW = 20
"""Fewer pictures than this: the largest values that a layer meets are hardly among them."""
_SIDE = 16
"""Pixels of the thumbnails that tell near-duplicates."""
_ALIKE = 4.0
"""Mean difference of two thumbnails, of 255, up to which they show the same."""
_EFFECT, _SIGNIFICANT = 0.7, 4.0
"""Difference of two sets: in standard deviations of single pictures, and of the means."""


def movement(half: Mapping[str, Range], whole: Mapping[str, Range]) -> dict[str, Any]:
    """How far ranges still moved over the last half of the pictures.

    Args:
        half: Ranges after half of the pictures, by tensor name.
        whole: Ranges after all of them.

    Returns:
        Shares of the ranges' widths: ``typical`` is the median over the tensors, ``most`` the
        largest, of ``tensor``. All 0 where there was no half.
    """
    moved = {name: _moved(before, whole[name]) for name, before in half.items()}
    if not moved:
        return {"typical": 0.0, "most": 0.0, "tensor": None}
    tensor = max(moved, key=lambda each: moved[each])
    return {
        "typical": float(np.median(list(moved.values()))),
        "most": moved[tensor],
        "tensor": tensor,
    }


def _moved(before: Range, after: Range) -> float:
    width = after.high - after.low
    return (abs(after.low - before.low) + abs(after.high - before.high)) / width if width else 0.0


def doubts(
    pictures: Iterable[NDArray[np.uint8]], others: Iterable[NDArray[np.uint8]] | None
) -> Iterator[str]:
    """What speaks against a calibration set, a sentence each.

    Args:
        pictures: The set: uint8 ``[1, height, width, channels]`` each.
        others: Pictures of the kind that the network will see; None leaves this out.
    """
    seen = list(map(_Seen, pictures))
    count, twins = len(seen), _near_duplicates(seen)
    if count < FEW:
        yield f"only {count} calibration pictures: give {FEW} at least, better 100 or more"
    if twins:
        yield (
            f"{twins} of {count} calibration pictures show nearly the same as another one: "
            "they count as one"
        )
    if others is not None:
        yield from _unlike(seen, list(map(_Seen, others)))


class _Seen:
    """What is kept of a picture: a thumbnail, and figures by name."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        pixels = picture[0].astype(np.float32)
        self.thumbnail = _thumbnail(pixels.mean(axis=2))
        self.figures = _figures(pixels)


def _thumbnail(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of about equal parts, float32 ``[16 * 16]`` or what a small picture has."""
    for axis in (0, 1):
        size = gray.shape[axis]
        starts = np.unique(np.arange(_SIDE) * size // _SIDE)
        lengths = np.diff([*starts, size])
        shape = [-1, 1] if axis == 0 else [1, -1]
        gray = np.add.reduceat(gray, starts, axis=axis) / lengths.reshape(shape)
    return gray.astype(np.float32).reshape(-1)


def _figures(pixels: NDArray[np.float32]) -> dict[str, float]:
    """Figures in which sets of pictures of another kind differ."""
    if pixels.shape[2] == 1:
        return {"brightness": float(pixels.mean()), "contrast": float(pixels.std())}
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return {
        "red": float(red.mean()),
        "green": float(green.mean()),
        "blue": float(blue.mean()),
        "red minus blue": float((red - blue).mean()),
        "green minus the mean of red and blue": float((green - (red + blue) / 2).mean()),
        "contrast": float(pixels.mean(axis=2).std()),
        "colorfulness": float(np.abs(red - blue).mean()),
    }


def _near_duplicates(seen: list[_Seen]) -> int:
    """Number of pictures that show nearly the same as an earlier one."""
    thumbnails = np.stack([each.thumbnail for each in seen]) if seen else np.empty((0, 1))
    return sum(
        bool((np.abs(thumbnails[:at] - thumbnails[at]).mean(axis=1) < _ALIKE).any())
        for at in range(1, len(thumbnails))
    )


def _unlike(ours: list[_Seen], theirs: list[_Seen]) -> Iterator[str]:
    """A sentence for the figure in which two sets differ most, if that is no accident."""
    if min(len(ours), len(theirs)) < 2:
        return
    found = {}
    for name in ours[0].figures:
        one, other = (np.array([each.figures[name] for each in seen]) for seen in (ours, theirs))
        gap = abs(one.mean() - other.mean())
        spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2) or 1e-9
        error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)) or 1e-9
        if gap / spread > _EFFECT and gap / error > _SIGNIFICANT:
            found[gap / spread] = (name, one.mean(), other.mean())
    if found:
        name, own, other = found[max(found)]
        yield (
            f"the calibration pictures do not look like the validation pictures: {name} is "
            f"{own:.0f} against {other:.0f} on average (of 255)"
        )
