"""The usual host code around an image network, as the engines' samples write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from engines import opened
from numpy.typing import NDArray
from PIL import Image

SHORTER_SIDE = 256 / 224
"""Over the network's side."""
CAFFE = (103.939, 116.779, 123.68)


def to_float(path: str, side: int, preprocessing: str) -> NDArray[np.float32]:
    """A picture file to a float input, float32 ``[1, side, side, 3]``."""
    picture = Image.open(path).convert("RGB")
    scale = side * SHORTER_SIDE / min(picture.size)
    width, height = (round(length * scale) for length in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32)
    if preprocessing == "caffe":
        pixels = pixels[..., ::-1] - np.asarray(CAFFE, np.float32)
    elif preprocessing == "tf":
        pixels = pixels / 127.5 - 1
    return np.ascontiguousarray(pixels, np.float32)[np.newaxis]


def five_best(scores: NDArray[Any], labels: list[str]) -> list[tuple[str, float]]:
    """Labels and scores, best first."""
    return [(labels[index], float(scores[index])) for index in np.argsort(scores)[::-1][:5]]


def labeled(
    path: str, threads: int, picture: str, side: int, preprocessing: str
) -> Callable[[], object]:
    """A picture file to its five labels, with a model that takes floats."""
    run, labels = opened(path, threads), [f"class {number}" for number in range(1000)]
    return lambda: five_best(run(to_float(picture, side, preprocessing))[0], labels)


def host(picture: str, side: int, preprocessing: str) -> Callable[[], object]:
    """The same but for the engine."""
    labels = [f"class {number}" for number in range(1000)]
    scores = np.random.default_rng(0).random(1000, np.float32)

    def timed() -> object:
        to_float(picture, side, preprocessing)
        return five_best(scores, labels)

    return timed


def prepared(path: str, threads: int) -> Callable[[], object]:
    """A picture that has its size, uint8, to scores, with a model that takes floats."""
    run = opened(path, threads)
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)

    def timed() -> object:
        pixels = picture.astype(np.float32)[..., ::-1] - np.asarray(CAFFE, np.float32)
        return run(np.ascontiguousarray(pixels)[np.newaxis])

    return timed
