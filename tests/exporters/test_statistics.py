"""Calibration sees each picture once, batch by batch, and gives true ranges and means."""

import numpy as np
import pytest

from edgeferry.calibration.ranges import Range
from edgeferry.calibration.store import StoredPictures
from edgeferry.contract import CalibrationInfo
from edgeferry.errors import UsageError
from edgeferry.exporters.base import Calibration
from edgeferry.exporters.statistics import collect
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
    def make(batch=1, method="minmax"):
        np.save(tmp_path / "pictures.npy", pixels)
        stored = StoredPictures(tmp_path / "pictures.npy")
        return Calibration(stored, CalibrationInfo(method, len(pixels), "0" * 64), batch)

    return make


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_ranges_and_means_are_those_of_all_pictures(calibration, pixels, batch):
    reader = Reader()
    found = collect(reader, calibration(batch), {"pixels": -1}, silent)
    np.testing.assert_array_equal(np.concatenate(reader.seen), pixels)
    low, high = float(pixels.min()), float(pixels.max())
    assert found.ranges == {"pixels": Range(low, high), "negated": Range(-high / 2, -low / 2)}
    assert set(found.means) == {"pixels"}
    np.testing.assert_allclose(found.means["pixels"], pixels.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_each_batch_is_told(calibration):
    steps = []
    collect(Reader(), calibration(4), {}, lambda *step: steps.append(step))
    assert steps == [("calibrating", 0, 2), ("calibrating", 1, 2)]


def test_an_unknown_method_is_refused_before_any_work(calibration):
    reader = Reader()
    with pytest.raises(UsageError, match="'guess'; known: minmax"):
        collect(reader, calibration(method="guess"), {}, silent)
    assert not reader.seen
