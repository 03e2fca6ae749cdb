"""What a prediction is, by task."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeferry.views import View

UNSEEN = -1
"""Class of the pixels that the network did not see."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of a classifier.

    Attributes:
        label: Name of the class; its number where the network came without labels.
        index: Number of the class, from 0.
        score: Its probability, 0 to 1.
    """

    label: str
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing that was found.

    Attributes:
        label: Name of its class; its number where the network came without labels.
        index: Number of its class, from 0.
        score: How sure it is, 0 to 1.
        box: Left, top, right and bottom, in pixels of the picture, upright.
    """

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The class of every pixel.

    Attributes:
        classes: int32 ``[height, width]`` of the network's picture. Of a network with one class,
            1 where that is at least as likely as not, else 0.
        scores: float32, likewise: the probability of that class.
        labels: One per class; None where the network came without.
        view: What part of the picture that is.
    """

    classes: NDArray[np.int32]
    scores: NDArray[np.float32]
    labels: tuple[str, ...] | None
    view: View

    def label(self, index: int) -> str:
        """Name of a class; its number where the network came without labels."""
        if self.labels is None:
            return str(index)
        if len(self.labels) > 1:
            return self.labels[index]
        return self.labels[0] if index else f"not {self.labels[0]}"

    def on_picture(self) -> NDArray[np.int32]:
        """The class of every pixel of the picture, upright: int32 ``[height, width]``.

        What the network did not see is ``UNSEEN``.
        """
        view, (height, width) = self.view, self.classes.shape
        rows = _nearest(view.height, view.top, view.bottom, height)
        columns = _nearest(view.width, view.left, view.right, width)
        found = self.classes[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
        seen = _within(rows, height)[:, None] & _within(columns, width)
        return np.where(seen, found, np.int32(UNSEEN))


def _nearest(length: int, low: float, high: float, cells: int) -> NDArray[np.int64]:
    """The cell that each pixel of a picture's side lies in; outside of all where it is unseen."""
    places = (np.arange(length) + 0.5 - low) * cells / (high - low)
    return np.asarray(np.floor(places), np.int64)


def _within(cells: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    return np.asarray((cells >= 0) & (cells < count))
