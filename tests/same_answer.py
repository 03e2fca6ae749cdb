"""How alike two engines answer: what the tests of the same int8 artifact in each engine share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SURE_MARGIN = 0.05
"""Between the first two probabilities: where it is larger, every engine names the same class.

Engines round differently, and where the first two classes are this close that decides. On the
ImageNet ResNet50 the margin was at most 0.0035 wherever two engines differed, over 200
photographs and 200 crops.
"""
LEAST_SAME = {"tflite": 99.0, "onnx": 95.0}
"""Percent of the pictures that the engines of a format give the same class."""
LARGEST_DIFFERENCE, LARGEST_MEAN_DIFFERENCE = 0.1, 0.005
"""Of probabilities; measured up to 0.057 and 0.0011."""


@dataclass(frozen=True)
class Comparison:
    """Two engines on the same pictures.

    Attributes:
        same: Percent of the pictures that get the same class.
        widest_other: Largest margin between the first two probabilities, in either engine, of
            the pictures that do not; 0 where there are none.
        largest: Largest difference of probabilities.
        mean: Mean difference of probabilities.
    """

    same: float
    widest_other: float
    largest: float
    mean: float


def compare(one: NDArray[np.float32], other: NDArray[np.float32]) -> Comparison:
    """Compare probabilities ``[N, classes]``."""
    differs = one.argmax(axis=1) != other.argmax(axis=1)
    margins = np.maximum(_margins(one), _margins(other))
    difference = np.abs(one - other)
    return Comparison(
        same=100 * float(1 - differs.mean()),
        widest_other=float(margins[differs].max(initial=0.0)),
        largest=float(difference.max()),
        mean=float(difference.mean()),
    )


def require_same_answers(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    least_same: float,
    record: Callable[[str, object], None],
) -> None:
    """Assert that two engines answer alike, and record by how much they differ."""
    found = compare(one, other)
    for name, value in vars(found).items():
        record(name, value)
    assert found.same >= least_same, found
    assert found.widest_other <= SURE_MARGIN, found
    assert found.largest <= LARGEST_DIFFERENCE, found
    assert found.mean <= LARGEST_MEAN_DIFFERENCE, found


def _margins(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)
