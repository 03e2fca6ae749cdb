"""The command line as its user meets it: outputs, exit codes and error texts."""

import json
import os
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from PIL import Image

from edgeferry.app import cli
from edgeferry.app.cli import run
from edgeferry.app.results import results_schema

COMMANDS = ("export", "predict", "evaluate", "benchmark", "inspect", "doctor", "demo")


@pytest.fixture
def artifact(tmp_path, write_network, matrix):
    return write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)


def red_picture(path):
    Image.new("RGB", (20, 10), (200, 10, 10)).save(path)
    return path


def refused(capfd, *arguments):
    """Run what must be refused: exit 2, one or two lines, no traceback. Returns the text."""
    code = run([str(each) for each in arguments])
    output, errors = capfd.readouterr()
    assert code == 2
    assert output == ""
    assert errors.startswith("edgeferry: ")
    assert 1 <= len(errors.splitlines()) <= 2
    assert "Traceback" not in errors
    return errors


def document(capfd, *arguments, code=0):
    """Run with ``--json -`` and hold what standard output gets to the schema."""
    assert run([*map(str, arguments), "--json", "-"]) == code
    found = json.loads(capfd.readouterr().out)
    jsonschema.Draft202012Validator(results_schema()).validate(found)
    assert found["tool"]["command"] == arguments[0]
    return found


def test_help_loads_neither_numpy_nor_rich_nor_an_engine():
    program = (
        "import sys; from edgeferry.app.cli import run; assert run(['--help']) == 0; "
        "heavy = {'numpy', 'PIL', 'rich', 'tensorflow', 'keras', 'onnx', 'onnxruntime'}; "
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "set()"
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_json_and_debug(command, capsys):
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert "--debug" in text


def test_module_runs_like_the_command():
    command = [sys.executable, "-m", "edgeferry", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"edgeferry \d+\.\d+\.\d+\S*\n", done.stdout)
    assert done.returncode == 0


def test_unknown_command_exits_2(capsys):
    assert run(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_interrupt_exits_130(monkeypatch, artifact, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgeferry.app.answers.answer", interrupted)
    assert run(["predict", str(artifact), str(tmp_path / "x.png")]) == 130


@pytest.mark.parametrize("before", [True, False])
def test_internal_error_is_one_line_and_a_traceback_only_when_debugging(
    monkeypatch, capfd, artifact, before
):
    def broken(*arguments):
        raise RuntimeError("something odd\nwith details")

    monkeypatch.setattr("edgeferry.app.inspection.inspect", broken)
    assert run(["inspect", str(artifact)]) == cli.INTERNAL_ERROR
    plain = capfd.readouterr().err
    assert plain.splitlines() == [
        "edgeferry: internal error: RuntimeError: something odd (--debug shows the traceback)"
    ]
    arguments = ["inspect", str(artifact)]
    run(["--debug", *arguments] if before else [*arguments, "--debug"])
    assert "Traceback" in capfd.readouterr().err


def test_predict_tells_the_label(artifact, tmp_path, capfd, matrix):
    picture = red_picture(tmp_path / "red.png")
    found = document(capfd, "predict", artifact, picture, "--top-k", 2, "--threads", 1)
    (shown,) = found["results"][0]["predictions"]
    logits = np.array([200, 10, 10]) @ matrix.astype(np.float64)
    scores = np.exp(logits) / np.exp(logits).sum()
    assert shown["image"] == str(picture)
    assert [each["index"] for each in shown["answers"]] == list(np.argsort(-scores)[:2])
    assert shown["answers"][0]["score"] == pytest.approx(scores.max(), abs=1e-5)
    assert run(["predict", str(artifact), str(picture)]) == 0
    assert shown["answers"][0]["label"] in capfd.readouterr().out


def test_predict_keeps_the_readable_pictures_and_exits_1(artifact, tmp_path, capfd):
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    good = red_picture(tmp_path / "red.png")
    found = document(capfd, "predict", artifact, broken, good, code=1)
    assert list(found["failures"]) == [str(broken)]
    assert [each["image"] for each in found["results"][0]["predictions"]] == [str(good)]


def test_evaluate_json_keeps_to_the_schema(artifact, pictures, capfd):
    found = document(capfd, "evaluate", artifact, "--images", pictures)
    (result,) = found["results"]
    assert (found["pictures"], result["images"], result["artifact"]) == (20, 20, artifact.name)


def test_evaluate_shows_a_table(artifact, pictures, capfd):
    assert run(["evaluate", str(artifact), "--images", str(pictures)]) == 0
    assert artifact.name in capfd.readouterr().out


def test_inspect_json_keeps_to_the_schema(artifact, capfd, contract):
    (result,) = document(capfd, "inspect", artifact, "--layers")["results"]
    assert {**result["contract"], "integrity": None} == contract.to_dict()
    assert {"Softmax"} <= {layer["type"] for layer in result["layers"]}


def test_inspect_prints_the_contract(artifact, capfd):
    assert run(["inspect", str(artifact)]) == 0
    shown = capfd.readouterr().out
    assert all(text in shown for text in ("colors", "squash", "red, green, blue", "0" * 64))


def test_inspect_of_a_foreign_model_says_so(artifact, capfd):
    import onnx

    model = onnx.load(artifact)
    del model.metadata_props[:]
    onnx.save(model, artifact)
    assert run(["inspect", str(artifact)]) == 0
    assert "no edgeferry contract" in capfd.readouterr().err


def test_doctor_json_keeps_to_the_schema(capfd):
    found = document(capfd, "doctor")
    assert {engine["name"] for engine in found["engines"]} >= {"litert", "onnxruntime", "openvino"}


def test_json_goes_to_a_file_beside_the_table(artifact, tmp_path, capfd):
    destination = tmp_path / "results.json"
    assert run(["inspect", str(artifact), "--json", str(destination)]) == 0
    assert artifact.name in capfd.readouterr().out
    jsonschema.validate(json.loads(destination.read_text()), results_schema())


def test_json_into_a_missing_folder_is_refused_before_the_work(artifact, tmp_path, capfd):
    text = refused(capfd, "inspect", artifact, "--json", tmp_path / "no" / "results.json")
    assert "results.json" in text


def test_missing_artifact(tmp_path, capfd):
    assert "nosuch.onnx" in refused(capfd, "predict", tmp_path / "nosuch.onnx", "x.png")


def test_text_file_named_tflite(tmp_path, capfd):
    fake = tmp_path / "fake.tflite"
    fake.write_text("This is a text, not a network. " * 9)
    for command in (["predict", fake, "x.png"], ["inspect", fake], ["benchmark", fake]):
        assert "fake.tflite" in refused(capfd, *command)


def test_engine_that_is_not_installed_names_its_extra(artifact, monkeypatch, capfd):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: None)
    assert "pip install 'edgeferry[onnx]'" in refused(capfd, "predict", artifact, "x.png")


def test_unknown_runtime_lists_the_known(artifact, capfd):
    text = refused(capfd, "predict", artifact, "x.png", "--runtime", "warp")
    assert "warp" in text
    assert "onnxruntime" in text


def test_decompression_bomb_is_refused(artifact, tmp_path, capfd):
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    assert "bomb.png" in refused(capfd, "predict", artifact, bomb)


def test_missing_picture(artifact, tmp_path, capfd):
    assert "gone.png" in refused(capfd, "predict", artifact, tmp_path / "gone.png")


def test_evaluate_without_pictures(artifact, tmp_path, capfd):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in refused(capfd, "evaluate", artifact, "--images", empty)
    assert "gone" in refused(capfd, "evaluate", artifact, "--images", tmp_path / "gone")


def test_labels_that_do_not_match_the_classes(artifact, pictures, tmp_path, capfd):
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\n")
    text = refused(capfd, "evaluate", artifact, "--images", pictures, "--labels", labels)
    assert "2" in text
    assert "6" in text


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("--formats", "tflite,coreml", "openvino"),
        ("--precisions", "int4", "int8"),
        ("--targets", "x86,riscv", "arm"),
        ("--preprocessing", "imagenet", "caffe"),
        ("--head", "relu", "softmax"),
        ("--resize", "stretch", "squash"),
        ("--interpolation", "cubic", "bicubic"),
        ("--execution", "int3", "float32"),
    ],
)
def test_unknown_name_in_an_option_lists_the_known(option, value, known, tmp_path, capfd):
    command = ["export", "net.keras", "-o", tmp_path / "out"]
    if option == "--execution":
        command = ["benchmark", tmp_path]
    text = refused(capfd, *command, option, value)
    assert value.split(",")[-1] in text
    assert known in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--size", "axb"), ("--size", "1x2x3"), ("--size", "0"), ("--batch", "0"), ("--batch", "x")],
)
def test_sizes_that_are_none(option, value, tmp_path, capfd):
    text = refused(capfd, "export", "net.keras", "-o", tmp_path / "out", option, value)
    assert option in text


def test_native_chatter_is_kept_away_unless_debugging(capfd, artifact, monkeypatch):
    from edgeferry.app import inspection

    genuine = inspection.inspect

    def chatty(*arguments):
        os.write(1, b"native output\n")
        os.write(2, b"native warning\n")
        return genuine(*arguments)

    monkeypatch.setattr(inspection, "inspect", chatty)
    document(capfd, "inspect", artifact)
    assert run(["inspect", str(artifact)]) == 0
    quiet = capfd.readouterr()
    assert "native" not in quiet.out + quiet.err
    assert artifact.name in quiet.out
    run(["inspect", str(artifact), "--debug"])
    assert "native warning" in capfd.readouterr().err
