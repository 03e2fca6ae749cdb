"""What part of a picture a network sees, by the contract's resize rule."""

from dataclasses import dataclass

from edgeferry.contract import InputSpec

Size = tuple[float, float]
"""Width and height, pixels."""


@dataclass(frozen=True)
class View:
    """The part of a picture that a network sees, upright.

    Attributes:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        left: Where the network's picture begins, pixels; below 0 where there is a border.
        top: Likewise.
        right: Where it ends.
        bottom: Likewise.
    """

    width: int
    height: int
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def whole(cls, width: int, height: int) -> "View":
        """All of a picture."""
        return cls(width, height, 0, 0, width, height)


def view_of(width: int, height: int, spec: InputSpec) -> View:
    """What a network sees of a picture by its resize rule.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        spec: The network's input.
    """
    size, rule = (spec.width, spec.height), spec.resize
    if rule.method == "squash":
        return View.whole(width, height)
    if rule.method == "pad":
        lows, highs = [], []
        fitting = fitting_size((width, height), size)
        for own, side, scaled in zip((width, height), size, fitting, strict=True):
            corner = (side - scaled) // 2
            lows.append(-corner * own / scaled)
            highs.append((side - corner) * own / scaled)
    else:
        lows, highs = center_part((width, height), size, rule.crop_ratio)
    return View(width, height, lows[0], lows[1], highs[0], highs[1])


def center_part(
    own: Size, size: tuple[int, int], crop_ratio: float
) -> tuple[list[float], list[float]]:
    """Where the part that survives a center crop begins and ends, by axis.

    Args:
        own: The picture's size.
        size: The size wanted; it scales to cover this divided by the crop ratio.
        crop_ratio: The share that the crop keeps.
    """
    covered = [round(side / crop_ratio) for side in size]
    scale = max(side / length for side, length in zip(covered, own, strict=True))
    low, high = [], []
    for length, side in zip(own, size, strict=True):
        scaled = max(round(length * scale), side)
        start = (scaled - side) // 2
        low.append(start * length / scaled)
        high.append(min((start + side) * length / scaled, length))
    return low, high


def fitting_size(own: Size, size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a whole picture fits into another.

    Args:
        own: The picture's size.
        size: The size to fit into.
    """
    scale = min(side / length for side, length in zip(size, own, strict=True))
    width, height = (max(1, round(length * scale)) for length in own)
    return width, height
