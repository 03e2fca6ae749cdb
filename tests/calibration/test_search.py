"""Ranges sought on a histogram, held to quantizing the values themselves in numpy."""

import numpy as np
import pytest

from edgeferry.calibration.histogram import Histogram, Range
from edgeferry.calibration.ranges import METHODS
from edgeferry.calibration.search import divergences, entropy, mse

VALUES = 30_000


def drawn(kind):
    random = np.random.default_rng(0)
    values = {
        "normal": lambda: random.normal(0, 1, VALUES),
        "rectified": lambda: np.maximum(random.normal(-1, 2, VALUES), 0),
        "heavy-tailed": lambda: random.standard_t(3, VALUES),
        "heavy-tailed rectified": lambda: np.maximum(random.standard_t(3, VALUES), 0),
        "lopsided": lambda: random.exponential(2, VALUES) - 0.3,
        "negative": lambda: -random.exponential(2, VALUES),
        "mostly zero": lambda: random.laplace(0, 1, VALUES) * (random.random(VALUES) < 0.05),
        "one wild channel": lambda: random.normal(0, [[1]] * 31 + [[300]], (32, 900)),
        "uniform": lambda: random.uniform(-1, 3, VALUES),
    }[kind]()
    return values.astype(np.float32)


def counted(values):
    histogram = Histogram()
    histogram.add(values)
    return histogram


def real_error(values, limits):
    """Mean squared error of values after 8 bits and back, 0 being one of the levels."""
    low, high = min(limits.low, 0.0), max(limits.high, 0.0)
    step = (high - low) / 255
    zero = np.rint(-low / step)
    levels = np.clip(np.rint(values / step) + zero, 0, 255)
    return float(np.mean(((levels - zero) * step - values.astype(np.float64)) ** 2))


def least_error(values):
    """Of all ranges on a dense grid."""
    lows = np.linspace(0, min(float(values.min()), 0.0), 31)
    highs = np.linspace(0, max(float(values.max()), 0.0), 31)
    tried = {(low, high) for low in lows for high in highs if low < high}
    return min(real_error(values, Range(*each)) for each in tried)


@pytest.mark.parametrize(
    "kind",
    ["normal", "rectified", "heavy-tailed", "lopsided", "negative", "mostly zero", "uniform"],
)
def test_mse_finds_what_trying_every_range_on_the_values_finds(kind):
    values = drawn(kind)
    assert real_error(values, mse(counted(values))) <= 1.02 * least_error(values)


def test_mse_does_not_sacrifice_a_wild_channel():
    values = drawn("one wild channel")
    assert real_error(values, mse(counted(values))) <= real_error(
        values, METHODS["minmax"](counted(values))
    )


@pytest.mark.parametrize("kind", ["heavy-tailed", "heavy-tailed rectified"])
def test_entropy_clips_a_heavy_tail(kind):
    values = drawn(kind)
    limits = entropy(counted(values))
    assert limits.high < values.max() / 2
    inside = (values >= limits.low) & (values <= limits.high)
    assert inside.mean() > 0.99


@pytest.mark.parametrize("method", [entropy, mse])
def test_evenly_spread_values_are_not_clipped(method):
    limits = method(counted(drawn("uniform")))
    assert (limits.low, limits.high) == pytest.approx((-1, 3), abs=0.05)


@pytest.mark.parametrize("kind", ["normal", "rectified", "heavy-tailed", "lopsided"])
def test_entropy_loses_less_information_than_the_whole_range(kind):
    histogram = counted(drawn(kind))
    found = [METHODS[method](histogram) for method in ("entropy", "minmax")]
    lows, highs = np.array([[each.low, each.high] for each in found]).T
    own, whole = divergences(histogram, lows, highs)
    assert own < whole


def test_divergence_is_that_of_counts_spread_evenly_over_each_level():
    values = drawn("heavy-tailed")
    histogram = counted(values)
    low, high = -20.0, 15.0
    edges, counts = histogram.bins()
    middles = (edges[:-1] + edges[1:]) / 2
    told, spread = reference_distributions(middles, counts, low, high)
    expected = float(np.sum(told * np.log(told / spread)))
    (own,) = divergences(histogram, np.array([low]), np.array([high]))
    assert own == pytest.approx(expected, rel=1e-6)


def reference_distributions(middles, counts, low, high):
    """The counts inside, those outside added at the ends; and level by level their mean."""
    inside = (middles >= low) & (middles <= high) & (counts > 0)
    kept = counts[inside].astype(float)
    levels = np.rint((middles[inside] - low) / (high - low) * 255)
    spread = np.array([kept[levels == level].mean() for level in levels])
    kept[0] += counts[middles < low].sum()
    kept[-1] += counts[middles > high].sum()
    return kept / kept.sum(), spread / spread.sum()


@pytest.mark.parametrize("method", [entropy, mse])
def test_values_that_a_network_itself_clips_keep_their_end(method):
    values = np.clip(np.random.default_rng(0).normal(0, 5, VALUES), -1, 6).astype(np.float32)
    limits = method(counted(values))
    assert (limits.low, limits.high) == (-1, 6)


def test_zeros_behind_a_rectifier_do_not_sway_the_range():
    values = drawn("heavy-tailed rectified")
    padded = np.concatenate([values, np.zeros(50 * VALUES, np.float32)])
    for method in (entropy, mse):
        assert method(counted(padded)) == method(counted(values))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([0.0] * 9, 0, 0),
        ([5.0] * 9, 5, 5),
        ([-5.0], -5, -5),
        ([np.nan, np.inf], 0, 0),
        ([], 0, 0),
        ([0.0, 1e-30], 0, 1e-30),
        ([-1.0, 2.0, 3.0], -1, 3),
    ],
)
def test_values_with_little_to_choose_keep_their_true_range(method, values, low, high):
    limits = method(counted(np.array(values, np.float32)))
    assert (limits.low, limits.high) == pytest.approx((low, high), rel=1e-6)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("kind", ["normal", "rectified", "negative", "mostly zero", "lopsided"])
def test_no_range_is_empty_or_wider_than_the_values(method, kind):
    values = drawn(kind)
    limits = method(counted(values))
    assert values.min() <= limits.low < limits.high <= values.max()
