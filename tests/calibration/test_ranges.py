"""Ranges found picture by picture, held to numpy on all values at once."""

import numpy as np
import pytest

from edgeferry.calibration.histogram import Histogram
from edgeferry.calibration.ranges import METHODS, TAIL, Histograms
from edgeferry.errors import UsageError


@pytest.fixture
def pictures():
    """Activations of 20 pictures: one tensor rectified, one of both signs, one of zeros."""
    random = np.random.default_rng(0)
    return [
        {
            "relu": np.maximum(random.normal(0, 1 + n % 3, (1, 50, 60, 8)), 0).astype(np.float32),
            "sum": random.normal(-2, 0.01 * 3**n, (1, 50, 60)).astype(np.float32),
            "dead": np.zeros((1, 5, 5, 2), np.float32),
        }
        for n in range(12)
    ]


def found(method, pictures):
    histograms = Histograms()
    for activations in pictures:
        histograms.observe(activations)
    return histograms.ranges(method)


def everything(name, pictures):
    return np.concatenate([activations[name].ravel() for activations in pictures])


def test_minmax_is_the_true_range(pictures):
    for name, limits in found("minmax", pictures).items():
        values = everything(name, pictures)
        assert (limits.low, limits.high) == (values.min(), values.max())


@pytest.mark.parametrize("name", ["relu", "sum"])
def test_percentile_leaves_out_the_tails(pictures, name):
    limits, values = found("percentile", pictures)[name], everything(name, pictures)
    low, high = np.quantile(values.astype(np.float64), (TAIL, 1 - TAIL), method="inverted_cdf")
    step = 2 * float(np.abs(values).max()) / 2048
    assert limits.low == pytest.approx(low, abs=step)
    assert limits.high == pytest.approx(high, abs=step)
    assert values.min() <= limits.low < limits.high <= values.max()


def test_percentile_cuts_a_lonely_peak_off():
    values = np.append(np.linspace(0, 1, 600_000, dtype=np.float32), np.float32(1000))
    limits = found("percentile", [{"peak": values}])["peak"]
    assert 0.9 < limits.high < 2


def test_percentile_of_zeros_is_zero(pictures):
    limits = found("percentile", pictures)["dead"]
    assert (limits.low, limits.high) == (0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_pictures_does_not_matter(pictures, method):
    assert found(method, pictures) == found(method, pictures[::-1])


def test_unknown_method_lists_the_known():
    with pytest.raises(UsageError, match=r"magic.*minmax.*percentile"):
        Histograms().ranges("magic")


def test_histogram_holds_every_value_wherever_it_lies():
    values = np.array([1e-20, 3.0, -5e4, 0.0, 7e9, -1e-3], np.float32)
    histogram = Histogram()
    for value in values:
        histogram.add(value.reshape(1))
    ordered = np.sort(values)
    for position, value in enumerate(ordered):
        edge = histogram.quantile((position + 0.5) / len(ordered))
        assert abs(edge - value) <= np.abs(values).max() / 1024


def test_histogram_passes_over_what_is_not_finite():
    histogram = Histogram()
    histogram.add(np.array([1, np.nan, -np.inf, 2, np.inf], np.float32))
    assert histogram.quantile(1.0) == pytest.approx(2, rel=1e-2)
    assert histogram.quantile(0.0) == pytest.approx(1, rel=1e-2)
