"""Accuracy figures, summed up picture by picture: memory does not grow with their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.statistics import wilson_interval
from edgeferry.contract import Head

Probabilities = NDArray[np.float32]

EPSILON = 1e-12
"""Probabilities are held this far from 0 (and, for sigmoid, from 1) inside logarithms."""


@dataclass
class Tally:
    """What one artifact answered, against the truth and against a reference.

    Attributes:
        head: Decides how probabilities diverge: one distribution over the classes
            (softmax), or one for each class (sigmoid).
        images: Pictures judged.
        labeled: Those whose class is known; ``right1`` and ``right5`` count the right ones.
        broken: Those with an answer that is not all numbers; it is never right, nor the same.
        compared: Those with a reference's answer; ``agreed`` counts the same first answers.
        divergence: Sum of the Kullback-Leibler divergences from the reference, nats.
        signal: Sum of the reference's squared probabilities.
        noise: Sum of the squared differences from them.
    """

    head: Head = "softmax"
    images: int = 0
    broken: int = 0
    labeled: int = 0
    right1: int = 0
    right5: int = 0
    compared: int = 0
    agreed: int = 0
    divergence: float = 0.0
    signal: float = 0.0
    noise: float = 0.0

    def add(
        self,
        probabilities: Probabilities,
        truth: Sequence[int | None],
        reference: Probabilities | None,
    ) -> None:
        """Count a batch.

        Args:
            probabilities: float32 ``[N, classes]``.
            truth: The class of each picture, None where it is not known.
            reference: The reference's probabilities of the same pictures.
        """
        self.images += len(probabilities)
        whole = np.isfinite(probabilities).all(axis=1)
        self.broken += int(np.sum(~whole))
        first = np.argsort(-as_classes(probabilities), axis=1, kind="stable")[:, :5]
        first[~whole] = -1
        for row, index in zip(first, truth, strict=True):
            if index is not None:
                self.labeled += 1
                self.right1 += int(row[0] == index)
                self.right5 += int(index in row)
        if reference is not None:
            self.compared += len(reference)
            self.agreed += int(np.sum(first[:, 0] == as_classes(reference).argmax(axis=1)))
            self._compare(reference.astype(np.float64), probabilities.astype(np.float64))

    def measures(self) -> dict[str, Any]:
        """The figures by the keys that results have everywhere; shares are percent."""
        return {
            "images": self.images,
            "top1": _percent(self.right1, self.labeled),
            "top5": _percent(self.right5, self.labeled),
            "agreement": _percent(self.agreed, self.compared),
            "kl": self._kl(),
            "sqnr_db": self._sqnr(),
        }

    def intervals(self) -> dict[str, float | int | None]:
        """The number of labeled pictures, and the shares' 95 % intervals in percent."""
        return {
            "labeled": self.labeled,
            **_interval("top1", self.right1, self.labeled),
            **_interval("top5", self.right5, self.labeled),
            **_interval("agreement", self.agreed, self.compared),
        }

    def _compare(self, reference: NDArray[np.float64], own: NDArray[np.float64]) -> None:
        self.divergence += float(divergences(reference, own, self.head).sum())
        self.signal += float(np.sum(reference**2))
        self.noise += float(np.sum((reference - own) ** 2))

    def _kl(self) -> float | None:
        """Mean divergence; None without a reference, and where something is not a number."""
        if not self.compared or not isfinite(self.divergence):
            return None
        # Probabilities in float32 do not add up to quite 1, so a 0 may fall below itself.
        return max(0.0, self.divergence / self.compared)

    def _sqnr(self) -> float | None:
        """Decibels; None without a reference, and where nothing differs or is not a number."""
        if not isfinite(self.signal + self.noise):
            return None
        return 10 * log10(self.signal / self.noise) if self.noise and self.signal else None


def as_classes(probabilities: Probabilities) -> Probabilities:
    """Probabilities to choose an answer from: one alone tells yes (class 1) from no (class 0).

    Args:
        probabilities: float32 ``[N, classes]``.

    Returns:
        The same; ``[N, 2]`` where there is one class only.
    """
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def divergences(
    reference: NDArray[np.float64], own: NDArray[np.float64], head: Head
) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of each row from the reference's, nats.

    Args:
        reference: Float64 ``[N, classes]``, probabilities.
        own: The same, of the artifact judged.
        head: For ``sigmoid`` each class is a distribution of its own; their mean is given.

    Returns:
        Float64 ``[N]``.
    """
    if head == "softmax":
        return np.asarray(_terms(reference, own).sum(axis=1))
    return np.asarray((_terms(reference, own) + _terms(1 - reference, 1 - own)).mean(axis=1))


def _terms(reference: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    reference, own = np.maximum(reference, EPSILON), np.maximum(own, EPSILON)
    return np.asarray(reference * np.log(reference / own))


def _percent(count: int, total: int) -> float | None:
    return 100 * count / total if total else None


def _interval(name: str, count: int, total: int) -> dict[str, float | None]:
    low, high = wilson_interval(count, total) if total else (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
