"""In what two sets of pictures differ, in words, from a few figures of each picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_EFFECT, _SIGNIFICANT = 0.7, 4.0
"""Difference of two sets: in standard deviations of single pictures, and of the means."""
_LEAST_VARIANCE = 1.0
"""Of flat pictures, lest a fraction of a gray level tell them apart."""
_TOLD = 2
"""So many differences are enough to tell."""
_WORDS = {
    "brightness": ("darker", "brighter"),
    "red": ("darker in red", "brighter in red"),
    "green": ("darker in green", "brighter in green"),
    "blue": ("darker in blue", "brighter in blue"),
    "red minus blue": ("bluer", "redder"),
    "green minus red and blue": ("less green", "greener"),
    "contrast": ("of less contrast", "of more contrast"),
    "color": ("less colorful", "more colorful"),
}
"""For a figure that is smaller, and larger."""

Figures = dict[str, float]
"""Of one picture, by name, in gray levels."""


def figures(picture: NDArray[np.uint8]) -> Figures:
    """Figures in which pictures of another kind differ.

    Args:
        picture: uint8 ``[height, width, channels]``, 3 channels or 1.
    """
    pixels = picture.astype(np.float32)
    gray = pixels.mean(axis=2)
    found = {"brightness": float(gray.mean()), "contrast": float(gray.std())}
    if pixels.shape[2] == 3:
        red, green, blue = (float(mean) for mean in pixels.mean(axis=(0, 1)))
        found |= {"red": red, "green": green, "blue": blue}
        found["red minus blue"] = red - blue
        found["green minus red and blue"] = green - (red + blue) / 2
        found["color"] = float(np.abs(pixels[..., 0] - pixels[..., 2]).mean())
    return found


def differences(ours: Sequence[Figures], theirs: Sequence[Figures]) -> list[str]:
    """What one set of pictures is against another, the largest difference first, if any.

    A figure counts that differs by much of what single pictures differ by (Cohen's d), and by
    more than the chance of the draw (Welch's t).

    Args:
        ours: Figures of each picture of the set.
        theirs: Of each picture of the other set.
    """
    if min(len(ours), len(theirs)) < 2:
        return []
    found: dict[str, float] = {}
    for name in ours[0]:
        own, other = (np.array([each[name] for each in side]) for side in (ours, theirs))
        gap = own.mean() - other.mean()
        variances = [side.var(ddof=1) + _LEAST_VARIANCE for side in (own, other)]
        effect = abs(gap) / np.sqrt(np.mean(variances))
        error = np.sqrt(variances[0] / len(own) + variances[1] / len(other))
        if effect > _EFFECT and abs(gap) / error > _SIGNIFICANT:
            word = _WORDS[name][int(gap > 0)]
            found[f"{word} ({name} {own.mean():.0f} against {other.mean():.0f})"] = effect
    return sorted(found, key=lambda each: -found[each])[:_TOLD]
