"""Intervals and percentiles: what raw counts and timings amount to."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964
"""Half width of the 95 % interval of a standard normal distribution."""
RESAMPLES = 2000

Rounds = Sequence[Sequence[int]]
"""Timings in nanoseconds, by round."""


@dataclass(frozen=True)
class Latency:
    """What a series of timings amounts to, milliseconds."""

    p50: float
    p90: float
    p99: float
    min: float
    mean: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians and its 95 % interval."""

    value: float
    low: float
    high: float


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, percent.

    Stays within 0 to 100 and is right for few pictures too: Wilson, 1927,
    https://doi.org/10.1080/01621459.1927.10502953.

    Args:
        count: How many were right.
        total: Of how many; at least 1.
    """
    share, spread = count / total, Z95**2 / total
    center = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * sqrt(share * (1 - share) / total + spread / (4 * total))
    return 100 * max(0.0, center - half), 100 * min(1.0, center + half)


def latency(rounds: Rounds) -> Latency:
    """Percentiles, minimum and mean of all timings of all rounds."""
    milliseconds = _pooled(rounds) / 1e6
    p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99))
    return Latency(
        float(p50), float(p90), float(p99), float(milliseconds.min()), float(milliseconds.mean())
    )


def ratio_of_medians(own: Rounds, other: Rounds, paired: bool = True, seed: int = 0) -> Ratio:
    """How long one takes against another.

    The interval is a percentile bootstrap over whole rounds (Efron and Tibshirani, 1993,
    chapters 8 and 13): timings of one round share the machine's mood, rounds do not.

    Args:
        own: Timings by round.
        other: Those of the other.
        paired: Whether these were measured beside the first, round for round.
        seed: For drawing the rounds.
    """
    generator = np.random.default_rng(seed)
    if paired:
        count = min(len(own), len(other))
        own, other = own[:count], other[:count]
    draws = generator.integers(0, len(own), (RESAMPLES, len(own)))
    others = draws if paired else generator.integers(0, len(other), (RESAMPLES, len(other)))
    ratios = [
        _ratio([own[n] for n in draw], [other[n] for n in beside])
        for draw, beside in zip(draws, others, strict=True)
    ]
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Ratio(_ratio(own, other), float(low), float(high))


def _ratio(own: Rounds, other: Rounds) -> float:
    return float(np.median(_pooled(own)) / np.median(_pooled(other)))


def _pooled(rounds: Rounds) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(each, np.float64) for each in rounds])
