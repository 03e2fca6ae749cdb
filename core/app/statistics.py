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
    low, high = np.percentile(_medians(own, draws) / _medians(other, others), (2.5, 97.5))
    value = np.median(_pooled(own)) / np.median(_pooled(other))
    return Ratio(float(value), float(low), float(high))


def _medians(rounds: Rounds, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of all timings of each draw of rounds, which are not put together for that."""
    ordered = [np.sort(np.asarray(each, np.float64)) for each in rounds]
    times = np.stack([(draws == number).sum(axis=1) for number in range(len(rounds))], axis=1)
    counts = times @ np.array([len(each) for each in ordered])
    middle = [_at(ordered, times, place) for place in ((counts - 1) // 2, counts // 2)]
    return np.asarray((middle[0] + middle[1]) / 2)


def _at(
    ordered: Sequence[NDArray[np.float64]], times: NDArray[np.int64], place: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What stands at a place of each draw, if it were put in order; by halving.

    Args:
        ordered: The rounds, each in order.
        times: How often each draw has each round, ``[draws, rounds]``.
        place: One for each draw, from 0.
    """
    known = np.unique(np.concatenate(ordered))
    low, high = np.zeros(len(place), np.int64), np.full(len(place), len(known) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        sought = known[middle]
        below = [np.searchsorted(each, sought, "right") for each in ordered]
        enough = (times * np.stack(below, axis=1)).sum(axis=1) > place
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return np.asarray(known[low])


def _pooled(rounds: Rounds) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(each, np.float64) for each in rounds])
