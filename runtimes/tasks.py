"""What the outputs of each task mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import Contract, Task


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


def decode_classification(
    scores: NDArray[np.float32], contract: Contract, top_k: int
) -> list[Prediction]:
    """The best classes of one picture, best first; of equals the lower number first.

    Args:
        scores: float32 ``[classes]``.
        contract: Tells the labels.
        top_k: How many; at most all classes are given.
    """
    count = min(top_k, len(scores))
    threshold = np.partition(scores, -count)[-count]
    candidates = np.flatnonzero(scores >= threshold)
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return [Prediction(contract.label(int(i)), int(i), float(scores[i])) for i in best]


DECODERS: Mapping[Task, Callable[[NDArray[np.float32], Contract, int], list[Any]]] = {
    "classification": decode_classification,
}
"""How a row of outputs becomes answers, by task."""
