"""From the boxes and scores of a detector to what it found: non-maximum suppression."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One box that was kept.

    Attributes:
        box: float32 ``[4]``: x1, y1, x2, y2.
        index: Number of its class.
        score: How sure it is.
    """

    box: Boxes
    index: int
    score: float


def suppress(
    boxes: Boxes, scores: NDArray[np.float32], least_score: float, overlap: float, most: int
) -> list[Found]:
    """Keep the surest boxes of each class, and drop those that overlap with a surer one.

    Greedy, class by class, as Felzenszwalb et al., 2010, https://doi.org/10.1109/TPAMI.2009.167.

    Args:
        boxes: float32 ``[M, 4]``: x1, y1, x2, y2.
        scores: float32 ``[M, classes]``.
        least_score: What is less sure is dropped.
        overlap: Intersection over union above which a box is the same as a surer one.
        most: Largest number to keep.

    Returns:
        The surest first.
    """
    kept = [
        Found(boxes[place], index, float(scores[place, index]))
        for index in np.flatnonzero((scores >= least_score).any(axis=0)).tolist()
        for place in _kept(boxes, scores[:, index], least_score, overlap, most)
    ]
    return sorted(kept, key=lambda each: -each.score)[:most]


def _kept(
    boxes: Boxes, scores: NDArray[np.float32], least_score: float, overlap: float, most: int
) -> Iterator[int]:
    """Places of the boxes that are kept of one class, the surest first."""
    places = np.flatnonzero(scores >= least_score)
    places = places[np.argsort(-scores[places], kind="stable")]
    for _ in range(most):
        if not len(places):
            return
        first, places = places[0], places[1:]
        yield int(first)
        places = places[intersection_over_union(boxes[first], boxes[places]) <= overlap]


def intersection_over_union(box: Boxes, others: Boxes) -> NDArray[np.float32]:
    """Of one box ``[4]`` with each of others ``[M, 4]``; 0 where both are empty."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union = _area(box[None]) + _area(others) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _area(boxes: Boxes) -> NDArray[np.float32]:
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(np.prod(sides, axis=1))
