"""What an export says of its source and its pictures, and when."""

import shutil

import numpy as np
import pytest
from PIL import Image

from edgeferry.app.export import ExportOptions, export
from edgeferry.contract import ResizeRule

pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def told(trained, tmp_path_factory):
    """An export with everything wrong: what was said, in order, and its report."""
    folder = tmp_path_factory.mktemp("notes")
    files = sorted(trained.calibration.glob("*/*.png"))[::60][:12]
    for number, file in enumerate(files):
        (folder / "few" / file.parent.name).mkdir(parents=True, exist_ok=True)
        for copy in "ab"[: 1 + number % 2]:
            shutil.copy(file, folder / "few" / file.parent.name / f"{number}{copy}.png")
    (folder / "inverted").mkdir()
    for number, image in enumerate(trained.images[::9]):
        Image.fromarray(255 - image).save(folder / "inverted" / f"{number}.png")
    events = []
    options = ExportOptions(
        calibration=folder / "few",
        validation=folder / "inverted",
        preprocessing="none",
        resize=ResizeRule("squash"),
        formats=("onnx",),
        precisions=("fp32", "int8"),
    )
    report = export(
        trained.keras_path,
        folder / "out",
        options,
        progress=lambda step, done, total: events.append(step),
        tell=events.append,
    )
    return events, report


def position(events, text):
    return next(at for at, event in enumerate(events) if text in event)


def test_a_wrong_preprocessing_is_told_before_anything_is_converted(told):
    events, report = told
    warned = position(events, "labeled pictures right with --preprocessing none")
    assert "with tf: is none a mistake?" in events[warned]
    assert warned < position(events, "onnx: ")
    assert report.source_top1 < 50


def test_few_pictures_twins_and_pictures_of_another_kind_are_told(told):
    events, report = told
    for text in ("only 18 calibration pictures", "6 of 18", "do not look like the validation"):
        assert position(events, text) < position(events, "onnx: ")
        assert any(text in warning for warning in report.warnings)


def test_how_far_the_ranges_moved_is_reported(told):
    movement = told[1].movement["onnx"]
    assert 0 <= movement["typical"] <= movement["most"]
    assert movement["most"] > 0
    assert movement["tensor"]


def test_a_sound_export_says_nothing(trained, tmp_path):
    said = []
    options = ExportOptions(
        calibration=trained.calibration,
        validation=trained.pictures,
        preprocessing="tf",
        resize=ResizeRule("squash"),
        formats=("onnx",),
        precisions=("int8",),
    )
    report = export(trained.keras_path, tmp_path / "out", options, tell=said.append)
    assert said == list(report.warnings) == []
    assert report.source_top1 > 95
    assert report.movement["onnx"]["typical"] < 0.1
    assert np.isfinite(report.movement["onnx"]["most"])
