"""What trained networks expect of their input, as Keras Applications defines it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import Preprocessing
from edgeferry.errors import UsageError


@dataclass(frozen=True)
class Normalization:
    """``(x[..., ::-1] if flip else x) - mean) * scale``, for ``x`` in RGB, 0 to 255.

    Attributes:
        flip: Whether the network takes BGR.
        mean: Subtracted, one for each channel in the network's order.
        scale: Multiplied, one for each channel in the network's order.
    """

    flip: bool
    mean: tuple[float, ...]
    scale: tuple[float, ...]


_PER_CHANNEL: dict[Preprocessing, Normalization] = {
    "caffe": Normalization(True, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torch": Normalization(
        False,
        (0.485 * 255, 0.456 * 255, 0.406 * 255),
        (1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
    ),
}
_UNIFORM: dict[Preprocessing, tuple[float, float]] = {
    "tf": (127.5, 1 / 127.5),
    "zero_one": (0.0, 1 / 255),
    "none": (0.0, 1.0),
}


def normalization(mode: Preprocessing, channels: int = 3) -> Normalization:
    """The constants of a preprocessing.

    Args:
        mode: Its name.
        channels: 3 (RGB) or 1 (grayscale).

    Raises:
        UsageError: If the mode is unknown, or has constants of its own for each color and
            the network is grayscale.
    """
    if mode in _UNIFORM:
        mean, scale = _UNIFORM[mode]
        return Normalization(False, (mean,) * channels, (scale,) * channels)
    if mode not in _PER_CHANNEL:
        known = ", ".join((*_PER_CHANNEL, *_UNIFORM))
        raise UsageError(f"unknown preprocessing {mode!r}; known: {known}")
    if channels != 3:
        raise UsageError(
            f"preprocessing {mode!r} is for three colors, the network takes {channels} channel(s)",
            f"For grayscale use one of: {', '.join(_UNIFORM)}",
        )
    return _PER_CHANNEL[mode]


def preprocess(images: NDArray[np.uint8], mode: Preprocessing) -> NDArray[np.float32]:
    """Bring pictures to what the trained network expects: the plain definition.

    Args:
        images: uint8 ``[N, height, width, channels]``, RGB or grayscale.
        mode: The network's preprocessing.

    Returns:
        float32 of the same shape.

    Raises:
        UsageError: If the mode does not suit the number of channels.
    """
    rule = normalization(mode, images.shape[-1])
    ordered = images[..., ::-1] if rule.flip else images
    centered = ordered.astype(np.float32) - np.array(rule.mean, np.float32)
    return np.asarray(centered * np.array(rule.scale, np.float32), np.float32)
