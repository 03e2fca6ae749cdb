"""A ResNet50 of 1,000 classes, exported by one command; skipped where it is not at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

import edgeferry
from edgeferry.app.architecture import architecture
from edgeferry.app.cli import run
from edgeferry.app.debugging import debug
from edgeferry.artifact import find_artifacts
from edgeferry.exporters.artifact_network import artifact_network
from edgeferry.images import to_input
from edgeferry.preprocessing import preprocess
from edgeferry.trained_model import load_trained_model

FORMATS = ("tflite", "onnx", "openvino")
LEAST_AGREEMENT = {"fp32": 1.0, "fp16": 0.99, "int8": 0.97}
"""Of all answers; which of the near-ties int8 turns over depends on the processor."""
SURE = 0.05
"""A lead of the source's first answer over its second that int8 never turns over."""
MOST_DIVERGENCE = 0.005
"""Mean Kullback-Leibler divergence from the source, nats."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "EDGEFERRY_FIXTURES" not in os.environ, reason="EDGEFERRY_FIXTURES names no folder"
    ),
]


@pytest.fixture(scope="module")
def fixtures():
    return Path(os.environ["EDGEFERRY_FIXTURES"])


@pytest.fixture(scope="module")
def artifacts(fixtures, tmp_path_factory):
    """By format and precision."""
    folder = tmp_path_factory.mktemp("imagenet") / "out"
    asked = ["--preprocessing", "caffe", "--labels", str(fixtures / "labels.txt")]
    asked += ["--calibration", str(fixtures / "photos")]
    model = fixtures / "resnet50_imagenet1k.keras"
    assert run(["export", str(model), "-o", str(folder), *asked]) == 0
    return {(each.format, each.precision): each for each in find_artifacts([folder])}


@pytest.fixture(scope="module")
def pictures(artifacts, fixtures):
    spec = artifacts["onnx", "fp32"].contract.input
    files = sorted(fixtures.glob("photos/*/*.jpg"))
    return np.stack([to_input(file, spec) for file in files])


@pytest.fixture(scope="module")
def reference(pictures, fixtures):
    network = load_trained_model(fixtures / "resnet50_imagenet1k.keras")
    return np.concatenate(
        [
            each
            for batch in np.split(pictures, 20)
            for each in network.predict(preprocess(batch, "caffe")).values()
        ]
    )


@pytest.mark.parametrize("precision", LEAST_AGREEMENT)
@pytest.mark.parametrize("format", FORMATS)
def test_answers_are_the_source_s(artifacts, pictures, reference, format, precision):
    with edgeferry.load(artifacts[format, precision].path) as predictor:
        found = predictor.predict_proba(pictures)
    agreement = np.mean(found.argmax(axis=1) == reference.argmax(axis=1))
    assert agreement >= LEAST_AGREEMENT[precision]
    second, first = np.sort(reference, axis=1)[:, -2:].T
    sure = first - second >= SURE
    assert sure.mean() > 0.8
    np.testing.assert_array_equal(found[sure].argmax(axis=1), reference[sure].argmax(axis=1))
    if precision == "fp32":
        assert np.abs(found - reference).max() <= 1e-4
    safe = np.maximum([found, reference], 1e-12)
    assert np.mean(np.sum(safe[1] * np.log(safe[1] / safe[0]), axis=1)) <= MOST_DIVERGENCE


@pytest.mark.parametrize("format", FORMATS)
def test_int8_is_a_quarter_and_runs_in_integers(artifacts, format):
    small, whole = (artifacts[format, precision] for precision in ("int8", "fp32"))
    assert small.size_bytes <= 0.27 * whole.size_bytes
    with edgeferry.load(small.path, threads=1) as predictor:
        ops = predictor.describe().ops()
    integer = {"Conv": 0, "Add": 0, "Quantize": 0}
    for each in ops:
        if each["op"] in integer and each["precision"] != "fp32":
            integer[each["op"]] += each["count"]
    assert (integer["Conv"], integer["Add"]) == (53, 16)
    assert integer["Quantize"] <= 1


@pytest.mark.parametrize("format", FORMATS)
def test_debug_lists_every_convolution_by_its_keras_name(artifacts, fixtures, format):
    import keras

    model = keras.models.load_model(fixtures / "resnet50_imagenet1k.keras", compile=False)
    expected = {each.name for each in model.layers if isinstance(each, keras.layers.Conv2D)}
    int8, fp32 = (artifacts[format, precision].path for precision in ("int8", "fp32"))
    layers = debug(int8, fp32, fixtures / "photos", count=2).layers
    found = {each.layer: each for each in layers if each.kind == "Conv"}
    assert len(expected) == 53
    assert found.keys() == expected
    assert {each.precision for each in found.values()} == {"int8"}
    assert (found["conv1_conv"].block, found["conv5_block3_3_conv"].block) == (None, 16)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("format", FORMATS)
def test_its_architecture_is_that_of_the_paper(artifacts, format, precision):
    """He et al. 2015: 50 weighted layers, 16 blocks, of which 4 project their input."""
    network = artifact_network(artifacts[format, precision].path, format)
    assert architecture(network).summary() == (
        "50 weighted layers on the main path (49 convolutions, 1 dense layer), "
        "4 projection shortcuts, 16 skip connections"
    )
