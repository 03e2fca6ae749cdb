"""Finding the range of each activation from calibration pictures, one picture at a time."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.histogram import Histogram
from edgeferry.errors import UsageError

TAIL = 1e-5
"""Share of the values that ``Percentile`` leaves out at each end."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest value that quantization shall represent."""

    low: float
    high: float


class RangeFinder(Protocol):
    """Sees every activation of every picture once and keeps no tensor."""

    def observe(self, activations: Mapping[str, NDArray[Any]]) -> None:
        """Take in the activations of one picture, by tensor name."""

    def ranges(self) -> dict[str, Range]:
        """The ranges found, by tensor name."""


class MinMax:
    """The true smallest and largest value over all pictures."""

    def __init__(self) -> None:
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}

    def observe(self, activations: Mapping[str, NDArray[Any]]) -> None:
        """Widen the ranges by one picture's activations."""
        for name, values in activations.items():
            self._low[name] = min(float(values.min()), self._low.get(name, np.inf))
            self._high[name] = max(float(values.max()), self._high.get(name, -np.inf))

    def ranges(self) -> dict[str, Range]:
        """The ranges found, by tensor name."""
        return {name: Range(low, self._high[name]) for name, low in self._low.items()}


class Percentile:
    """The range that holds all but the outermost values, ``TAIL`` of them at each end."""

    def __init__(self) -> None:
        self._histograms: dict[str, Histogram] = defaultdict(Histogram)

    def observe(self, activations: Mapping[str, NDArray[Any]]) -> None:
        """Count one picture's activations."""
        for name, values in activations.items():
            self._histograms[name].add(values)

    def ranges(self) -> dict[str, Range]:
        """The ranges found, by tensor name."""
        return {
            name: Range(histogram.quantile(TAIL), histogram.quantile(1 - TAIL))
            for name, histogram in self._histograms.items()
        }


AUTO = "auto"
"""The name that stands for each format's best method."""
METHODS: dict[str, type[RangeFinder]] = {"minmax": MinMax, "percentile": Percentile}


def range_finder(method: str) -> RangeFinder:
    """A fresh range finder.

    Raises:
        UsageError: If there is no method of that name.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(f"unknown calibration method {method!r}; known: {known}")
    return METHODS[method]()
