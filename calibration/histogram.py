"""A histogram that grows with what it sees: one pass, fixed memory, no range known beforehand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF = 2048
"""Bins on each side of 0."""
_SMALLEST_EXPONENT = -100
_CHUNK = 1 << 15
"""Values counted at a time: what is made of them stays in the processor's cache."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest value that quantization shall represent."""

    low: float
    high: float


class Histogram:
    """Counts of values in equal bins around 0, each a power of two wide.

    When a value does not fit, neighboring bins are merged and become twice as wide, which is
    exact: the same values in any order, or in two histograms merged, give the same counts.
    """

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf
        self._exponent = _SMALLEST_EXPONENT
        self._counts = np.zeros(2 * HALF, np.int64)
        self.zeros = 0
        """How many values were exactly 0."""

    def add(self, values: NDArray[np.float32]) -> None:
        """Count values; those that are not finite are left out."""
        flat = values.reshape(-1)
        low, high = float(flat.min(initial=np.inf)), float(flat.max(initial=-np.inf))
        if not np.isfinite(low + high):
            flat = flat[np.isfinite(flat)]
            low, high = float(flat.min(initial=np.inf)), float(flat.max(initial=-np.inf))
        if not flat.size:
            return
        self._low, self._high = min(low, self._low), max(high, self._high)
        self._widen(max(-low, high))
        for start in range(0, flat.size, _CHUNK):
            self._count(flat[start : start + _CHUNK])

    def limits(self) -> Range:
        """The smallest and the largest value counted; 0 where there was none."""
        return Range(self._low, self._high) if self._counts.any() else Range(0.0, 0.0)

    @property
    def width(self) -> float:
        """Of each bin."""
        return float(2.0**self._exponent)

    def bins(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The values that are not exactly 0, from the first bin that holds one to the last.

        Returns:
            Edges of N adjoining bins, ``[N + 1]``, and their counts, ``[N]``.
        """
        counts = self._counts.copy()
        counts[HALF] -= self.zeros
        (filled,) = counts.nonzero()
        first, end = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (HALF, HALF)
        return np.arange(first - HALF, end + 1 - HALF) * np.float64(self.width), counts[first:end]

    def quantile(self, share: float) -> float:
        """The outer edge of the bin that holds a quantile, within the values counted; 0 of none.

        Args:
            share: Of the values that shall lie below; above one half the upper edge of the bin
                is given, else the lower one.
        """
        reached = np.cumsum(self._counts)
        upper = share > 0.5
        wanted = share * reached[-1]
        index = int(np.searchsorted(reached, wanted, side="left" if upper else "right"))
        edge = (index - HALF + int(upper)) * self.width
        limits = self.limits()
        return float(min(max(edge, limits.low), limits.high))

    def _count(self, values: NDArray[np.float32]) -> None:
        """Count values that fit."""
        self.zeros += values.size - int(np.count_nonzero(values != 0))
        bins = values * np.float32(2.0**-self._exponent)
        np.floor(bins, out=bins)
        bins += np.float32(HALF)
        self._counts += np.bincount(bins.astype(np.intp), minlength=2 * HALF)

    def _widen(self, largest: float) -> None:
        """Merge bins in pairs until a value fits."""
        while largest >= HALF * self.width:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts[:] = 0
            self._counts[HALF // 2 : HALF // 2 + HALF] = pairs
            self._exponent += 1
