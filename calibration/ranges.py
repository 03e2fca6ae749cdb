"""Finding the range of each activation: methods over histograms that grow picture by picture."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from edgeferry.calibration.histogram import Histogram, Range
from edgeferry.calibration.search import entropy, mse
from edgeferry.errors import UsageError

TAIL = 3e-6
"""Share of the values that ``percentile`` leaves out at each end."""

RangeMethod = Callable[[Histogram], Range]
"""What quantization shall represent of the values that a histogram counted."""


def minmax(histogram: Histogram) -> Range:
    """The true smallest and largest value."""
    return histogram.limits()


def percentile(histogram: Histogram) -> Range:
    """The range that holds all but the outermost values, ``TAIL`` of them at each end."""
    return Range(histogram.quantile(TAIL), histogram.quantile(1 - TAIL))


AUTO = "auto"
"""The name that stands for each format's best method."""
METHODS: Mapping[str, RangeMethod] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def range_method(name: str) -> RangeMethod:
    """A range-finding method.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(f"unknown calibration method {name!r}; known: {known}")
    return METHODS[name]


class Histograms:
    """Counts every activation of every picture once and keeps no tensor."""

    def __init__(self) -> None:
        self._histograms: dict[str, Histogram] = defaultdict(Histogram)

    def observe(self, activations: Mapping[str, NDArray[Any]]) -> None:
        """Count the activations of one batch, by tensor name."""
        for name, values in activations.items():
            self._histograms[name].add(values)

    def ranges(self, method: str) -> dict[str, Range]:
        """The range of each activation, by tensor name.

        Raises:
            UsageError: If there is no method of that name.
        """
        find = range_method(method)
        return {name: find(histogram) for name, histogram in self._histograms.items()}
