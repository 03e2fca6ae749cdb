"""Where the time goes: layers by their Keras names, and what they compute."""

import json

import jsonschema
import pytest

from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.benchmark_tables import benchmark_report
from edgeferry.app.cli import run
from edgeferry.app.console import show
from edgeferry.app.results import results_schema
from edgeferry.artifact import find_artifacts
from edgeferry.exporters.artifact_network import artifact_network
from edgeferry.operations import WEIGHTED_KINDS

FORMATS = ("tflite", "onnx", "openvino")
QUICK = BenchmarkOptions(threads=1, duration=0.02, profile=True)
PRODUCTS = (
    16 * 16 * (9 * 3 * 16)
    + 8 * 8 * (16 * 16 + 9 * 16 * 16 + 9 * 16 * 16)
    + 4 * 4 * (16 * 32 + 9 * 16 * 32 + 9 * 32 * 32)
    + 32 * 10
)
"""Multiply-accumulates of the small network: positions times weights, layer by layer."""


@pytest.fixture(scope="module")
def keras_names(trained):
    keras = pytest.importorskip("keras")
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    model = keras.models.load_model(trained.keras_path)
    return {layer.name for layer in model.layers if isinstance(layer, kinds)}


@pytest.fixture(scope="module")
def report(exported):
    found = benchmark([exported.folder], QUICK)
    assert not found.failures
    return found


def test_every_convolution_is_timed_under_its_keras_name(report, keras_names):
    assert len(report.results) >= 9
    for result in report.results:
        rows = result.extra["profile"]["layers"]
        weighted = [row for row in rows if row["kind"] in WEIGHTED_KINDS]
        assert {row["layer"] for row in weighted} == keras_names, result.artifact
        assert len(weighted) == len(keras_names), result.artifact


def test_multiply_accumulates_are_those_of_the_shapes(exported, report):
    for artifact in find_artifacts([exported.folder]):
        layers = artifact_network(artifact.path, artifact.format).layers()
        assert sum(each.multiply_accumulates for each in layers) == PRODUCTS, artifact.path.name
    for result in report.results:
        profile = result.extra["profile"]
        assert profile["multiply_accumulates"] == PRODUCTS
        ran = sum(row["multiply_accumulates"] or 0 for row in profile["layers"])
        # OpenVINO moves strides forward where it can, and computes less.
        assert 0.5 * PRODUCTS < ran <= PRODUCTS if result.format == "openvino" else ran == PRODUCTS


def test_figures_fit_together(report):
    for result in report.results:
        profile = result.extra["profile"]
        rows = profile["layers"]
        assert sum(row["ms"] for row in rows) == pytest.approx(profile["sum_ms"])
        assert sum(row["share"] for row in rows) == pytest.approx(100)
        for row in rows:
            if row["gmac_per_s"] is not None:
                rate = row["multiply_accumulates"] / (row["ms"] / 1e3) / 1e9
                assert row["gmac_per_s"] == pytest.approx(rate)


def test_tables_show_layers_and_say_what_was_measured(report, keras_names, capsys):
    show(*benchmark_report(report))
    shown = capsys.readouterr().out
    for result in report.results:
        assert result.extra["profile"]["profiler"] in shown
    assert any(name in shown for name in keras_names)
    assert "multiply-accumulates" in shown


def test_without_the_package_of_the_format_names_are_the_engines(exported, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (artifact,) = exported.folder.glob("*.int8.onnx")
    (result,) = benchmark([artifact], QUICK).results
    profile = result.extra["profile"]
    assert not profile["named"]
    assert all(row["layer"] == row["name"] for row in profile["layers"])


def test_command_writes_and_shows_layers(exported, tmp_path, capfd):
    (artifact,) = exported.folder.glob("*.fp32.onnx")
    file = tmp_path / "results.json"
    asked = ["--profile", "--threads", "1", "--duration", "0.02", "--json", str(file)]
    assert run(["benchmark", str(artifact), *asked]) == 0
    document = json.loads(file.read_text())
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    (result,) = document["results"]
    assert result["profile"]["runs"] >= 1
    assert "GMAC/s" in capfd.readouterr().out


def test_an_engine_without_a_profiler_is_measured_and_the_lack_told(exported):
    (artifact,) = exported.folder.glob("*.fp32.tflite")
    options = BenchmarkOptions(threads=1, duration=0.02, profile=True, runtime="tensorflow")
    found = benchmark([artifact], options)
    (result,) = found.results
    assert result.p50_ms > 0
    assert result.extra["profile"]["layers"] == []
    assert any("tensorflow tells no times of layers" in each for each in found.warnings)


def test_layers_are_timed_only_if_asked(exported):
    (artifact,) = exported.folder.glob("*.fp32.onnx")
    (result,) = benchmark([artifact], BenchmarkOptions(threads=1, duration=0.02)).results
    assert result.extra["profile"] is None
