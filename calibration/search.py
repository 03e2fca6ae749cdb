"""Range-finding methods that try many ranges on a histogram and keep the one that costs least."""

import math
from collections.abc import Callable

import numpy as np

from edgeferry.calibration.histogram import Histogram, Range

_LEVELS = 256
_SHARES = np.linspace(1.0, 0.1, 91)
"""Of the largest value, and of the smallest: the ends that are tried."""
_ROUNDS = 2
"""How often each end is sought again with the other end as found."""

Cost = Callable[[Histogram, Range], float]


def mse(histogram: Histogram) -> Range:
    """The range with the least expected squared error of rounding and clipping.

    Nagel et al., 2021, section 3.1, https://arxiv.org/abs/2106.08295.
    """
    return _cheapest(histogram, squared_error)


def entropy(histogram: Histogram) -> Range:
    """The range whose 256 levels keep most of the information that the values hold.

    Migacz, 2017, 8-bit inference with TensorRT (GTC S7310), for ranges of any two ends.
    """
    return _cheapest(histogram, divergence)


def squared_error(histogram: Histogram, limits: Range) -> float:
    """Mean squared difference of the values from their nearest level.

    Args:
        histogram: The values.
        limits: What the lowest and the highest of 256 levels stand for.
    """
    step = (limits.high - limits.low) / (_LEVELS - 1)
    values, counts = histogram.filled()
    levels = np.clip(np.rint((values - limits.low) / step), 0, _LEVELS - 1)
    errors = values - (levels * step + limits.low)
    return float(counts @ errors**2 / counts.sum())


def divergence(histogram: Histogram, limits: Range) -> float:
    """Kullback-Leibler divergence of the counts from what 256 levels leave of them, nats.

    Args:
        histogram: The values.
        limits: What the lowest and the highest of the levels stand for.
    """
    step = (limits.high - limits.low) / (_LEVELS - 1)
    values, counts = histogram.filled()
    # The zeros that a rectifier makes are exact in any range, and would outweigh all others.
    counts = np.where(values == 0, np.minimum(counts, np.median(counts)), counts)
    inside = (values >= limits.low) & (values <= limits.high)
    if not inside.any():
        return math.inf
    kept = np.where(inside, counts, 0)
    levels = np.clip(np.rint((values - limits.low) / step), 0, _LEVELS - 1).astype(np.int64)
    masses = np.bincount(levels, kept, _LEVELS)
    members = np.bincount(levels, inside, _LEVELS)
    spread = (masses / np.maximum(members, 1))[levels[inside]]
    told = counts[inside].astype(np.float64)
    told[0] += counts[values < limits.low].sum()
    told[-1] += counts[values > limits.high].sum()
    told, spread = told / told.sum(), spread / spread.sum()
    return float(np.sum(told * np.log(told / spread)))


def _cheapest(histogram: Histogram, cost: Cost) -> Range:
    whole = histogram.limits()
    best = Range(min(whole.low, 0.0), max(whole.high, 0.0))
    if best.high == best.low:
        return whole
    for _ in range(_ROUNDS):
        highs = [Range(best.low, float(high)) for high in _SHARES * max(whole.high, 0.0)]
        best = _least(histogram, highs, cost)
        lows = [Range(float(low), best.high) for low in _SHARES * min(whole.low, 0.0)]
        best = _least(histogram, lows, cost)
        if whole.low >= 0 or whole.high <= 0:
            break
    return best


def _least(histogram: Histogram, candidates: list[Range], cost: Cost) -> Range:
    """The cheapest; the first, which is the widest, where several are."""
    if len({(each.low, each.high) for each in candidates}) == 1:
        return candidates[0]
    return min(candidates, key=lambda each: cost(histogram, each))
