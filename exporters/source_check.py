"""How well the source itself answers: a wrong preprocessing shows before anything is quantized."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.store import StoredPictures
from edgeferry.contract import Preprocessing
from edgeferry.preprocessing import preprocess
from edgeferry.progress import Progress
from edgeferry.trained_model import TrainedModel

_FREE_BATCH = 16
"""Pictures at a time where the source takes any number."""


def right_answers(
    trained: TrainedModel,
    pictures: StoredPictures,
    classes: Sequence[int],
    preprocessing: Preprocessing,
    progress: Progress,
) -> list[bool]:
    """Tell for each picture whether the first answer is right.

    Args:
        trained: A classifier.
        pictures: uint8 ``[1, height, width, channels]`` each.
        classes: The true class of each of the first pictures; the others are left out.
        preprocessing: What is done to them.
        progress: Told after each batch.
    """
    right: list[bool] = []
    for batch in _batches(pictures, len(classes), trained.input_shape[0] or _FREE_BATCH):
        (scores,) = trained.predict(preprocess(batch, preprocessing)).values()
        rows = scores.reshape(len(batch), -1)
        truth = classes[len(right) : len(right) + len(batch)]
        right += [int(row.argmax()) == true for row, true in zip(rows, truth, strict=False)]
        progress(f"asking the source ({preprocessing})", len(right), len(classes))
    return right


def _batches(pictures: StoredPictures, count: int, size: int) -> Iterator[NDArray[np.uint8]]:
    """Full batches; the last is filled up with copies of its last picture."""
    remaining = islice(pictures, count)
    while batch := list(islice(remaining, size)):
        yield np.concatenate(batch + batch[-1:] * (size - len(batch)))
