"""``debug``: figures that plain numpy gives too, every layer by its Keras name, plain errors."""

import json
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from tensor_values import dequantized, float_values

from edgeferry.app.cli import run
from edgeferry.app.debugging import debug
from edgeferry.app.results import results_schema
from edgeferry.errors import UsageError
from edgeferry.exporters.quantized_reader import open_float

PICTURES = 24
DECIBELS = {"tflite": 0.01, "onnx": 0.01, "openvino": 0.5}
ERROR = {"tflite": 1e-3, "onnx": 1e-3, "openvino": 0.2}
COSINE = {"tflite": 1e-6, "onnx": 1e-6, "openvino": 5e-4}
"""How near the figures are; OpenVINO rounds otherwise in a network that is cut off."""
SUFFIX = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
FORMATS = tuple(SUFFIX)
KEYS = {"layer", "block", "precision", "sqnr_db", "cosine", "saturated", "added"}


@pytest.fixture(scope="module")
def twins(exported):
    """The int8 and the fp32 artifact of a format."""

    def of(format):
        return [
            exported.folder / f"digits.{precision}{SUFFIX[format]}"
            for precision in ("int8", "fp32")
        ]

    return of


@pytest.fixture(scope="module")
def images(exported, tmp_path_factory):
    """Held-out pictures and, since those saturate little, noise in black and white: one file."""
    path = tmp_path_factory.mktemp("debug") / "images.npy"
    noise = 255 * np.random.default_rng(0).integers(0, 2, (4, 32, 32, 3), np.uint8)
    np.save(path, np.concatenate([exported.images[:: len(exported.images) // 20][:20], noise]))
    return path


@pytest.fixture(scope="module")
def reports(twins, images):
    return {format: debug(*twins(format), images, PICTURES) for format in FORMATS}


@pytest.mark.parametrize("format", FORMATS)
def test_every_layer_is_listed_by_its_keras_name(reports, exported, format):
    import keras

    model = keras.models.load_model(exported.keras_path)
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    names = [each.name for each in model.layers if isinstance(each, kinds)]
    found = reports[format].layers
    assert sorted(layer.layer for layer in found) == sorted(names)
    assert sorted(layer.position for layer in found) == list(range(1, len(names) + 1))
    assert [layer.layer for layer in found if layer.precision == "fp32"] == [names[-1]]
    blocks = {layer.layer: layer.block for layer in found}
    assert [blocks[name] for name in (names[0], names[-1])] == [None, None]
    assert sorted(blocks[name] for name in names[1:-1]) == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("format", FORMATS)
def test_figures_are_those_of_the_tensors_themselves(reports, twins, images, format):
    int8, fp32 = twins(format)
    layers = {each.name: each for each in open_float(fp32, format).network.layers()}
    found = [layer for layer in reports[format].layers if layer.precision == "int8"]
    for layer in (found[0], max(found, key=lambda each: each.saturated), found[-1]):
        tensor = layers[layer.layer].result
        values, low, high, step = dequantized(int8, tensor, np.load(images))
        expected = float_values(fp32, tensor, np.load(images))
        noise = np.sum((values - expected) ** 2)
        decibels = 10 * np.log10(np.sum(expected**2) / noise)
        assert layer.sqnr_db == pytest.approx(decibels, abs=DECIBELS[format])
        lengths = np.linalg.norm(expected) * np.linalg.norm(values)
        assert layer.cosine == pytest.approx(
            np.sum(expected * values) / lengths, abs=COSINE[format]
        )
        outside = (expected < low - step / 2) | (expected > high + step / 2)
        assert layer.saturated == pytest.approx(100 * np.mean(outside), abs=1e-9)
        assert layer.error == pytest.approx(
            channel_error(values, expected, format), rel=ERROR[format]
        )


def channel_error(values, expected, format):
    axes = (0, 1, 2) if format == "tflite" else (0, 2, 3)
    noise, signal = np.sum((values - expected) ** 2, axis=axes), np.sum(expected**2, axis=axes)
    return np.mean(
        [min(1.0, n / s) if s else float(n > 0) for n, s in zip(noise, signal, strict=True)]
    )


@pytest.mark.parametrize("format", FORMATS)
def test_pictures_unlike_those_of_the_calibration_saturate(reports, format):
    assert max(layer.saturated for layer in reports[format].layers) > 0


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_layer_adds_is_its_error_without_that_of_its_inputs(reports, twins, format):
    _, fp32 = twins(format)
    layers = {each.name: each for each in open_float(fp32, format).network.layers()}
    errors = {layers[found.layer].result: found.error for found in reports[format].layers}
    compared = 0
    for found in reports[format].layers:
        (source,) = layers[found.layer].sources
        if source in errors:
            assert found.added == pytest.approx(found.error - errors[source])
            compared += 1
    assert compared >= 3
    added = [layer.added for layer in reports[format].layers]
    assert added == sorted(added, reverse=True)


def test_command_writes_table_json_and_picture(twins, images, tmp_path, capsys):
    int8, fp32 = twins("onnx")
    files = [tmp_path / name for name in ("debug.json", "one.svg", "two.svg")]
    command = ["debug", str(int8), "--reference", str(fp32), "--images", str(images), "--count=2"]
    for picture in files[1:]:
        assert run([*command, "--json", str(files[0]), "--picture", str(picture)]) == 0
    shown = capsys.readouterr().out
    document = json.loads(files[0].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    (result,) = document["results"]
    assert (result["artifact"], result["images"]) == (int8.name, 2)
    assert result["reference"] == fp32.name
    assert all(set(layer) >= KEYS for layer in document["layers"])
    names = [layer["layer"] for layer in document["layers"]]
    assert re.findall(r"^ *\d+ +(\S+)", shown, re.MULTILINE)[: len(names)] == names
    one, two = (picture.read_bytes() for picture in files[1:])
    assert one == two
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", one.decode())
    assert {"1", "2", names[0], "SQNR, dB"} <= set(drawn)


REFUSED = {
    "int8 by itself": ("int8", "int8", "onnx", "onnx", r"is int8, not fp32"),
    "fp16 against fp32": ("fp16", "fp32", "onnx", "onnx", "only int8"),
    "another format": ("int8", "fp32", "onnx", "tflite", r"is onnx, the reference \S+ is tflite"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_artifacts_that_are_no_twins_are_refused(exported, images, case):
    first, second, format, other, problem = case
    with pytest.raises(UsageError, match=problem):
        debug(
            exported.folder / f"digits.{first}{SUFFIX[format]}",
            exported.folder / f"digits.{second}{SUFFIX[other]}",
            images,
        )


UNLIKE = {
    "source": (lambda c: {"source": replace(c.source, sha256="1" * 64)}, "from the same model"),
    "preprocessing": (
        lambda c: {"source": replace(c.source, preprocessing="caffe")},
        "with another preprocessing",
    ),
    "input": (lambda c: {"input": replace(c.input, batch=4)}, "with another input"),
    "head": (lambda c: {"head": "sigmoid"}, "with another head"),
}


@pytest.mark.parametrize("case", UNLIKE.values(), ids=UNLIKE)
def test_twins_that_were_exported_otherwise_are_refused(twins, images, tmp_path, case):
    onnx = pytest.importorskip("onnx")
    from edgeferry.artifact import METADATA_NAME, read_contract

    change, problem = case
    int8, fp32 = twins("onnx")
    contract = read_contract(fp32)
    model = onnx.load(fp32)
    other = replace(contract, **change(contract))
    onnx.helper.set_model_props(model, {METADATA_NAME: other.to_json()})
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UsageError, match=problem):
        debug(int8, tmp_path / "other.onnx", images)


def test_a_picture_of_an_unknown_kind_is_refused_before_any_work(capsys, tmp_path):
    command = ["debug", "no.onnx", "--reference", "no.onnx", "--images", "no"]
    assert run([*command, "--picture", str(tmp_path / "depth.gif")]) == 2
    assert ".svg" in capsys.readouterr().err
