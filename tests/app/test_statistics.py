"""Intervals and percentiles, held to known values and to what they promise."""

import numpy as np
import pytest

from edgeferry.app.statistics import RESAMPLES, latency, ratio_of_medians, wilson_interval


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 25.53, 36.62), (0, 10, 0.0, 27.75), (10, 10, 72.25, 100.0), (1, 1, 20.65, 100.0)],
)
def test_wilson_interval_of_published_examples(count, total, low, high):
    assert wilson_interval(count, total) == pytest.approx((low, high), abs=0.01)


def test_latency_is_that_of_all_rounds_together():
    found = latency([[1_000_000, 3_000_000], [2_000_000], [10_000_000]])
    assert (found.p50, found.min, found.mean) == (2.5, 1.0, 4.0)
    assert found.p90 == pytest.approx(np.percentile([1, 2, 3, 10], 90))
    assert found.p99 == pytest.approx(np.percentile([1, 2, 3, 10], 99))


def test_ratio_is_that_of_the_medians():
    own, other = [[10, 20, 30], [20]], [[40], [40, 50]]
    assert ratio_of_medians(own, other).value == 0.5


def test_same_rounds_give_the_same_interval():
    rounds = [[int(n) for n in np.random.default_rng(k).integers(90, 110, 9)] for k in range(6)]
    assert ratio_of_medians(rounds, rounds[::-1]) == ratio_of_medians(rounds, rounds[::-1])


def test_interval_holds_the_true_ratio_about_as_often_as_it_says():
    """Rounds of a machine whose speed wanders; both sides of a round are hit alike."""
    random = np.random.default_rng(3)
    hits, trials = 0, 60
    for _ in range(trials):
        speed = random.uniform(1, 1.5, 10)
        slow = [list(1000 * each * random.uniform(0.95, 1.05, 15)) for each in speed]
        fast = [list(300 * each * random.uniform(0.95, 1.05, 40)) for each in speed]
        found = ratio_of_medians(fast, slow)
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.3 <= found.high
    assert hits >= 0.85 * trials


def test_one_round_is_enough_for_a_ratio():
    found = ratio_of_medians([[10]], [[40]])
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)


def pooled(rounds, draw):
    return np.median(np.concatenate([rounds[number] for number in draw]))


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_is_that_of_rounds_put_together_again_and_again(paired):
    random = np.random.default_rng(5)
    own = [random.integers(10, 50, count) for count in (3, 8, 1)]
    other = [random.integers(10, 50, count) for count in (2, 6, 9)]
    generator = np.random.default_rng(0)
    draws = generator.integers(0, 3, (RESAMPLES, 3))
    others = draws if paired else generator.integers(0, 3, (RESAMPLES, 3))
    ratios = [
        pooled(own, draw) / pooled(other, beside)
        for draw, beside in zip(draws, others, strict=True)
    ]
    found = ratio_of_medians(own, other, paired)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(ratios, (2.5, 97.5))))
