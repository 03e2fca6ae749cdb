"""``edgeferry export`` as its user meets it: what it writes, and what it refuses."""

import json

import jsonschema
import pytest
from PIL import Image

from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.errors import SourceError


@pytest.fixture
def refused(capfd, tmp_path):
    """Run an export that must be refused: exit 2, one or two lines, nothing half-written."""

    def export(model, *arguments, output=tmp_path / "out"):
        before = sorted(tmp_path.rglob("*"))
        code = run(["export", str(model), "-o", str(output), *map(str, arguments)])
        shown, errors = capfd.readouterr()
        assert code == 2
        assert shown == ""
        assert errors.startswith("edgeferry: ")
        assert 1 <= len(errors.splitlines()) <= 2
        assert "Traceback" not in errors
        assert sorted(tmp_path.rglob("*")) == before
        return errors

    return export


def test_export_writes_artifacts_a_manifest_and_json(trained, tmp_path, capfd):
    output = tmp_path / "out"
    asked = "--preprocessing tf --formats onnx --precisions fp32 --resize squash --json -"
    code = run(["export", str(trained.keras_path), "-o", str(output), *asked.split()])
    document = json.loads(capfd.readouterr().out)
    assert code == 0
    jsonschema.validate(document, results_schema())
    assert [each["artifact"] for each in document["results"]] == ["digits.fp32.onnx"]
    assert document["results"][0]["size_bytes"] == (output / "digits.fp32.onnx").stat().st_size
    assert (output / "manifest.json").is_file()


def test_no_such_model(refused, tmp_path):
    assert "nosuch.keras" in refused(tmp_path / "nosuch.keras", "--precisions", "fp32")


def test_truncated_keras_file(refused, trained, tmp_path):
    broken = tmp_path / "broken.keras"
    content = trained.keras_path.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    errors = refused(broken, "--precisions", "fp32", "--preprocessing", "tf")
    assert "broken.keras" in errors


def test_int8_without_calibration(refused, trained):
    assert "--calibration" in refused(trained.keras_path, "--preprocessing", "tf")


def test_preprocessing_is_not_guessed(refused, trained):
    assert "--preprocessing" in refused(trained.keras_path, "--precisions", "fp32")


def test_labels_that_do_not_match_the_classes(refused, trained, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    arguments = ("--precisions", "fp32", "--preprocessing", "tf", "--labels", labels)
    errors = refused(trained.keras_path, *arguments)
    assert "2" in errors
    assert "10" in errors


@pytest.mark.parametrize("content", ["nothing", "unreadable", "text"])
def test_calibration_folder_without_pictures(refused, trained, tmp_path, content):
    folder = tmp_path / "calibration"
    folder.mkdir()
    if content == "unreadable":
        Image.new("RGB", (32, 32)).save(folder / "cut.png")
        (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:40])
    if content == "text":
        (folder / "notes.txt").write_text("no pictures here")
    arguments = ("--preprocessing", "tf", "--calibration", folder)
    assert "calibration" in refused(trained.keras_path, *arguments)


def test_calibration_folder_that_is_missing(refused, trained, tmp_path):
    arguments = ("--preprocessing", "tf", "--calibration", tmp_path / "gone")
    assert "gone" in refused(trained.keras_path, *arguments)


def test_output_that_exists_is_kept_without_force(refused, trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    errors = refused(trained.keras_path, "--precisions", "fp32", "--preprocessing", "tf")
    assert "--force" in errors
    assert (tmp_path / "out" / "precious.txt").read_text() == "mine"


def test_output_that_cannot_be_written(refused, trained, tmp_path):
    (tmp_path / "file").write_text("no folder")
    arguments = ("--precisions", "fp32", "--preprocessing", "tf")
    assert "file" in refused(trained.keras_path, *arguments, output=tmp_path / "file" / "out")


def test_the_help_lists_what_can_be_chosen():
    from edgeferry.app import cli_export
    from edgeferry.calibration.ranges import AUTO, METHODS
    from edgeferry.exporters.head import HEADS
    from edgeferry.exporters.recipes import TARGETS

    assert (AUTO, *METHODS) == cli_export.METHODS
    assert (HEADS, TARGETS) == (cli_export.HEADS, cli_export.TARGETS)


def test_network_by_name_brings_its_preprocessing(monkeypatch, tmp_path):
    from edgeferry.app import export as module

    told = []

    def prepare(export, worker):
        told.append((export.source, export.options.preprocessing))
        raise SourceError("seen")

    monkeypatch.setattr(module._Export, "_prepare", prepare)
    for given, expected in (([], "caffe"), (["--preprocessing", "tf"], "tf")):
        asked = ["export", "resnet50", "-o", str(tmp_path / "out"), "--precisions", "fp32", *given]
        assert run(asked) == 2
        assert told.pop() == ("resnet50", expected)
