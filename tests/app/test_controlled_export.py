"""Accuracy-controlled export of a network that plain int8 ruins."""

import json
import shutil

import hostile
import jsonschema
import numpy as np
import pytest
from PIL import Image

import edgeferry
from edgeferry.app.accuracy_control import AccuracyControl
from edgeferry.app.cli import run
from edgeferry.app.debugging import debug
from edgeferry.app.results import results_schema

pytest.importorskip("tensorflow")

SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


@pytest.fixture(scope="module")
def source(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "hostile.keras"
    hostile.hostile_network(trained.calibration).save(path)
    return path


def export_command(source, trained, output, *more):
    asked = ["--preprocessing", "tf", "--resize", "squash", "--precisions", "fp32,int8"]
    asked += ["--calibration", str(trained.calibration), "--calibration-method", "minmax"]
    asked += ["--max-accuracy-drop", "0.5", "--validation", str(trained.pictures)]
    return ["export", str(source), "-o", str(output), *asked, *more]


@pytest.fixture(scope="module")
def exported_hostile(source, trained, tmp_path_factory):
    """The output folder, and what the command wrote as JSON."""
    folder = tmp_path_factory.mktemp("controlled")
    more = ("--json", str(folder / "export.json"))
    assert run(export_command(source, trained, folder / "out", *more)) == 0
    return folder / "out", json.loads((folder / "export.json").read_text())


def top1(path, trained):
    with edgeferry.load(path, threads=1) as predictor:
        answers = predictor.predict_proba(trained.images)
    return 100 * np.mean(answers.argmax(axis=1) == trained.classes)


@pytest.mark.parametrize("format", SUFFIXES)
def test_the_accuracy_holds_though_plain_minmax_loses_it(exported_hostile, trained, format):
    output, document = exported_hostile
    name = f"hostile.int8{SUFFIXES[format]}"
    control = document["control"][name]
    first, chosen = control["attempts"][0], control["attempts"][control["chosen"]]
    assert (first["method"], first["holds"]) == ("minmax", False)
    assert first["drop"] >= 5
    assert chosen["holds"]
    measured = top1(output / name, trained)
    assert top1(output / f"hostile.fp32{SUFFIXES[format]}", trained) - measured <= 0.5
    assert measured == pytest.approx(chosen["top1"], abs=0.3)


@pytest.mark.parametrize("format", SUFFIXES)
def test_the_layer_is_named_and_the_contract_says_what_was_done(exported_hostile, format):
    output, document = exported_hostile
    name = f"hostile.int8{SUFFIXES[format]}"
    control = document["control"][name]
    assert control["sensitive_layers"][0] == hostile.HOSTILE_LAYER
    quantization = edgeferry.read_contract(output / name).quantization
    chosen = control["attempts"][control["chosen"]]
    assert ("equalization" in quantization.repairs) == chosen["equalized"]
    assert list(quantization.float_layers) == chosen["float_layers"]
    assert quantization.control.drop == pytest.approx(chosen["drop"])
    assert quantization.control.attempts == len(control["attempts"])


def test_the_report_keeps_to_the_schema_and_the_manifest_has_it_too(exported_hostile):
    output, document = exported_hostile
    jsonschema.validate(document, results_schema())
    manifest = json.loads((output / "manifest.json").read_text())
    assert set(manifest["control"]) == set(document["control"])
    assert "seconds" not in manifest["control"]["hostile.int8.onnx"]["attempts"][0]


@pytest.fixture(scope="module")
def ruined(source, trained, tmp_path_factory):
    """By format, what plain minmax gives, with its float twin."""
    output = tmp_path_factory.mktemp("ruined") / "out"
    command = export_command(source, trained, output)
    del command[command.index("--max-accuracy-drop") : command.index("--validation") + 2]
    assert run(command) == 0
    return {
        format: [output / f"hostile.{each}{suffix}" for each in ("int8", "fp32")]
        for format, suffix in SUFFIXES.items()
    }


@pytest.mark.parametrize("format", SUFFIXES)
def test_debug_ranks_the_hostile_layer_first(ruined, trained, format):
    report = debug(*ruined[format], trained.pictures, count=16)
    assert report.layers[0].layer == hostile.HOSTILE_LAYER
    assert report.layers[0].added > 0.5


@pytest.mark.parametrize("format", SUFFIXES)
def test_layers_in_float_alone_save_it_too(source, trained, tmp_path, monkeypatch, format):
    from dataclasses import replace

    def floats_only(self, first):
        yield first
        self.sensitive = self.tools.rank(self.best().path)
        yield replace(first, float_layers=tuple(self.sensitive[:1]))

    monkeypatch.setattr(AccuracyControl, "_candidates", floats_only)
    command = export_command(source, trained, tmp_path / "out", "--formats", format)
    assert run(command) == 0
    path = tmp_path / "out" / f"hostile.int8{SUFFIXES[format]}"
    assert edgeferry.read_contract(path).quantization.float_layers == (hostile.HOSTILE_LAYER,)
    with edgeferry.load(path, threads=1) as predictor:
        precisions = {op.precision for op in predictor.describe().operations}
    assert {"int8", "fp32"} <= precisions


def test_where_nothing_holds_the_best_is_kept_and_the_exit_code_is_1(
    source, trained, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(AccuracyControl, "_candidates", lambda self, first: iter([first]))
    command = export_command(source, trained, tmp_path / "out", "--formats", "onnx")
    assert run([*command, "--json", "-"]) == 1
    shown, errors = capfd.readouterr()
    assert "nothing that was tried holds 0.5 points" in errors
    document = json.loads(shown)
    assert set(document["failures"]) == {"hostile.int8.onnx"}
    contract = edgeferry.read_contract(tmp_path / "out" / "hostile.int8.onnx")
    assert contract.quantization.control.drop >= 5


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--max-accuracy-drop", "0.5"], "--validation"),
        (["--max-accuracy-drop", "120", "--validation", "."], "makes no sense"),
        (["--validation", "nosuch"], "no validation folder"),
    ],
)
def test_what_cannot_be_controlled_is_refused(source, trained, tmp_path, capfd, more, problem):
    command = ["export", str(source), "-o", str(tmp_path / "out"), "--preprocessing", "tf"]
    assert run([*command, "--calibration", str(trained.calibration), *more]) == 2
    assert problem in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def unknown_labels(folder):
    (folder / "nosuchlabel").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "nosuchlabel" / "1.png")
    return folder, "'nosuchlabel' is no label"


def empty(folder):
    folder.mkdir()
    return folder, "validation holds no pictures"


def an_array(folder):
    np.save(folder.with_suffix(".npy"), np.zeros((4, 8, 8, 3), np.uint8))
    return folder.with_suffix(".npy"), "no folder of pictures"


@pytest.mark.parametrize("make", [unknown_labels, empty, an_array])
def test_validation_pictures_of_no_use_are_refused_before_any_work(
    source, trained, tmp_path, capfd, make
):
    path, problem = make(tmp_path / "validation")
    command = export_command(source, trained, tmp_path / "out")
    command[command.index("--validation") + 1] = str(path)
    assert run(command) == 2
    assert problem in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_validation_pictures_that_cannot_be_read_are_told(
    source, trained, tmp_path, monkeypatch, capfd
):
    shutil.copytree(trained.pictures, tmp_path / "validation")
    broken = sorted((tmp_path / "validation").glob("*/*.png"))[3]
    broken.write_bytes(b"no picture")
    monkeypatch.setattr(AccuracyControl, "_candidates", lambda self, first: iter([first]))
    command = export_command(source, trained, tmp_path / "out", "--formats", "onnx")
    command[command.index("--validation") + 1] = str(tmp_path / "validation")
    run(command)
    told = " ".join(capfd.readouterr().err.split())
    assert "validation: 1 of 360 pictures skipped" in told
    assert f"{broken.parent.name}/{broken.name}" in told
