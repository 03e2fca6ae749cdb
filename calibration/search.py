"""Range-finding methods that try many ranges on a histogram and keep the one that costs least."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.histogram import Histogram, Range

_LEVELS = 256
_SHARES = np.linspace(1.0, 0.02, 99)
"""Of the largest value, and of the smallest: the ends that are tried."""
_TURNS = ((True, True), *((False, True), (True, False)) * 2)
"""Which of the two ends are drawn in together, turn by turn."""

Floats = NDArray[np.float64]
Costs = Callable[[Histogram, Floats, Floats], Floats]
"""Of ranges of these low and high ends, ``[K]`` each: their costs, ``[K]``."""


def mse(histogram: Histogram) -> Range:
    """The range with the least expected squared error of rounding and clipping.

    Nagel et al., 2021, section 3.1, https://arxiv.org/abs/2106.08295.
    """
    return _cheapest(histogram, squared_errors)


def entropy(histogram: Histogram) -> Range:
    """The range whose 256 levels keep most of the information that the values hold.

    Migacz, 2017, 8-bit inference with TensorRT (GTC S7310), for ranges of any two ends.
    """
    return _cheapest(histogram, divergences)


def squared_errors(histogram: Histogram, lows: Floats, highs: Floats) -> Floats:
    """Mean squared difference of the values from their nearest level, for each of K ranges.

    Within a bin the values are taken to lie evenly, so that levels may be closer than bins. One
    of the levels is 0, as integer arithmetic wants it.

    Args:
        histogram: The values.
        lows: What the lowest of 256 levels stands for, at most 0.
        highs: What the highest one stands for, at least 0.
    """
    steps = ((highs - lows) / (_LEVELS - 1))[:, None]
    edges, counts = histogram.bins()
    positions = edges / steps - np.rint(lows[:, None] / steps)
    levels = np.clip(np.rint(positions), 0, _LEVELS - 1)
    offsets = positions - levels
    # The integral of the squared error up to each edge: 1/12 for each level that is passed.
    integrals = steps**3 * (levels / 12 + offsets * offsets * offsets / 3)
    total = counts.sum() + histogram.zeros
    return np.asarray(np.diff(integrals) @ counts / (histogram.width * total))


def divergences(histogram: Histogram, lows: Floats, highs: Floats) -> Floats:
    """Kullback-Leibler divergence of the counts from what 256 levels leave of them, nats.

    Values outside count at the outermost bin inside. Exact zeros are left out: they lose nothing
    in any range, and behind a rectifier would outweigh all others. Infinite for ranges with
    fewer bins than levels, which seem to lose nothing.

    Args:
        histogram: The values.
        lows: Low ends of K ranges.
        highs: Their high ends.
    """
    values, counts = _filled(histogram)
    ends = _level_ends(values, lows, highs)
    first, end = ends[:, 0], ends[:, -1]
    sums, told = _running(counts), _running(_x_log_x(counts))
    below, above = sums[first], sums[-1] - sums[end]

    masses = np.diff(sums[ends])
    logs = np.log(np.maximum(masses, 1) / np.maximum(np.diff(ends), 1))
    spread = (masses * logs).sum(axis=1)
    rows, filled = np.arange(len(ends)), masses > 0
    spread += below * logs[rows, filled.argmax(axis=1)]
    spread += above * logs[rows, _LEVELS - 1 - filled[:, ::-1].argmax(axis=1)]

    held = told[end] - told[first]
    for outermost, outside in ((first, below), (end - 1, above)):
        own = counts[np.clip(outermost, 0, len(counts) - 1)]
        held += _x_log_x(own + outside) - _x_log_x(own)
    inside = np.maximum(sums[-1] - below - above, 1)
    meaningful = (end - first > 1) & (highs - lows >= _LEVELS * histogram.width)
    return np.where(meaningful, (held - spread) / sums[-1] + np.log(inside / sums[-1]), np.inf)


def _filled(histogram: Histogram) -> tuple[Floats, Floats]:
    """The middles of the bins that hold something, and their counts."""
    edges, counts = histogram.bins()
    limits = histogram.limits()
    middles = np.clip(edges[:-1] + histogram.width / 2, limits.low, limits.high)
    return middles[counts > 0], counts[counts > 0].astype(np.float64)


def _level_ends(values: Floats, lows: Floats, highs: Floats) -> NDArray[np.intp]:
    """Which of the sorted values the levels of each range begin and end with, ``[K, 257]``."""
    shares = (np.arange(_LEVELS - 1) + 0.5) / (_LEVELS - 1)
    inner = lows[:, None] + (highs - lows)[:, None] * shares
    outer = values.searchsorted(lows), values.searchsorted(highs, side="right")
    return np.column_stack([outer[0], values.searchsorted(inner), outer[1]])


def _running(values: Floats) -> Floats:
    """Sums of all values before each, and of all."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _x_log_x(values: Floats) -> Floats:
    return np.asarray(values * np.log(np.maximum(values, 1)))


def _cheapest(histogram: Histogram, costs: Costs) -> Range:
    """Draw both ends in alike, then each by itself; of equally good ranges take the widest."""
    whole = histogram.limits()
    if whole.low == whole.high:
        return whole
    widest = best = np.array([min(whole.low, 0.0), max(whole.high, 0.0)])
    for moved in _TURNS if whole.low < 0 < whole.high else _TURNS[:1]:
        tried = np.vstack([best, np.where(moved, _SHARES[:, None] * widest, best)])
        best = tried[np.argmin(costs(histogram, tried[:, 0], tried[:, 1]))]
    return Range(max(float(best[0]), whole.low), min(float(best[1]), whole.high))
