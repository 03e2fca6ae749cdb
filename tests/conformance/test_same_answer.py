"""One int8 artifact gives the same answers in each engine that runs its format.

tflite-runtime lives in an environment of its own: ``tests/packaging/test_tflite_runtime.py``.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from same_answer import LEAST_SAME, SURE_MARGIN, compare, require_same_answers

from edgeferry.app.export import ExportOptions, export
from edgeferry.artifact import read_contract
from edgeferry.images import to_input
from edgeferry.runtimes.predictor import load

ENGINES = {
    "tflite": ("litert", "tensorflow"),
    "onnx": ("onnxruntime", "openvino"),
}
PHOTOGRAPHS = 40


def answers(path, engine, images):
    with load(path, runtime=engine, threads=1) as predictor:
        assert predictor.describe().executed == "int8"
        return predictor.predict_proba(images)


@pytest.mark.parametrize("format", ENGINES)
def test_digits(exported, format, record_property):
    path = exported.folder / f"digits.int8.{format}"
    one, other = (answers(path, engine, exported.images) for engine in ENGINES[format])
    require_same_answers(one, other, LEAST_SAME[format], record_property)


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """Folder of the ImageNet ResNet50 in int8."""
    if "EDGEFERRY_FIXTURES" not in os.environ:
        pytest.skip("EDGEFERRY_FIXTURES names no folder")
    fixtures = Path(os.environ["EDGEFERRY_FIXTURES"])
    options = ExportOptions(
        calibration=fixtures / "photos",
        preprocessing="caffe",
        formats=("tflite", "onnx"),
        precisions=("int8",),
        calibration_count=20,
    )
    folder = tmp_path_factory.mktemp("same") / "out"
    assert not export(fixtures / "resnet50_imagenet1k.keras", folder, options).failures
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("format", ENGINES)
def test_imagenet(resnet50, format, record_property):
    path = resnet50 / f"resnet50_imagenet1k.int8.{format}"
    photos = sorted(Path(os.environ["EDGEFERRY_FIXTURES"]).glob("photos/*/*.jpg"))
    step = len(photos) // PHOTOGRAPHS
    spec = read_contract(path).input
    images = np.stack([to_input(photo, spec) for photo in photos[::step]])
    one, other = (answers(path, engine, images) for engine in ENGINES[format])
    require_same_answers(one, other, LEAST_SAME[format], record_property)


def test_a_changed_answer_counts_by_its_margin():
    one = np.array([[0.5, 0.4, 0.1], [0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]], np.float32)
    other = one.copy()
    other[0] = [0.44, 0.46, 0.1]
    found = compare(one, other)
    assert found.same == 75
    assert found.widest_other == pytest.approx(0.1)
    assert found.largest == pytest.approx(0.06)
    assert found.mean == pytest.approx(0.12 / 12)
    assert found.widest_other > SURE_MARGIN
    with pytest.raises(AssertionError, match="widest_other"):
        require_same_answers(one, other, 70.0, lambda *told: None)
