"""Calibration sees each picture once, batch by batch, and gives true ranges and means."""

import numpy as np
import pytest

from edgeferry.calibration.histogram import Range
from edgeferry.calibration.ranges import METHODS
from edgeferry.calibration.store import StoredPictures
from edgeferry.exporters.statistics import Calibration, collect
from edgeferry.progress import silent


class Reader:
    """A network whose activations are the pixels and their negation."""

    def __init__(self):
        self.seen = []

    def read(self, batch):
        self.seen.append(batch)
        pixels = batch.astype(np.float32)
        return {"pixels": pixels, "negated": -pixels / 2}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)


@pytest.fixture
def calibration(pixels, tmp_path):
    def make(batch=1):
        np.save(tmp_path / "pictures.npy", pixels)
        return Calibration(StoredPictures(tmp_path / "pictures.npy"), "0" * 64, batch)

    return make


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_ranges_and_channels_are_those_of_all_pictures(calibration, pixels, batch):
    reader = Reader()
    found = collect(reader, calibration(batch), {"pixels": -1}, silent)
    np.testing.assert_array_equal(np.concatenate(reader.seen), pixels)
    low, high = float(pixels.min()), float(pixels.max())
    assert found.ranges("minmax") == {
        "pixels": Range(low, high),
        "negated": Range(-high / 2, -low / 2),
    }
    assert set(found.channels) == {"pixels"}
    channels = found.channels["pixels"]
    np.testing.assert_allclose(channels.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(channels.low, pixels.min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(channels.high, pixels.max(axis=(0, 1, 2)))


def test_one_pass_serves_every_method(calibration):
    reader = Reader()
    found = collect(reader, calibration(), {}, silent)
    for method in METHODS:
        assert set(found.ranges(method)) == {"pixels", "negated"}
    assert len(reader.seen) == 6


def test_ranges_at_half_are_those_of_the_first_half(calibration, pixels):
    pixels[3:] = 255
    pixels[:3] //= 4
    found = collect(Reader(), calibration(), {}, silent)
    assert found.ranges_at_half["pixels"].high < 64
    assert found.ranges_at_end()["pixels"].high == 255


def test_each_batch_is_told(calibration):
    steps = []
    collect(Reader(), calibration(4), {}, lambda *step: steps.append(step))
    assert steps == [("calibrating", 0, 2), ("calibrating", 1, 2)]


def test_what_fills_up_the_last_batch_does_not_count(calibration, pixels):
    one, four = (collect(Reader(), calibration(n), {"pixels": -1}, silent) for n in (1, 4))
    assert four.ranges("mse") == one.ranges("mse")
    np.testing.assert_allclose(four.channels["pixels"].mean, one.channels["pixels"].mean)
