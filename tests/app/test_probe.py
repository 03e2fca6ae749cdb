"""Files without digest are tried out in a process of their own first."""

from pathlib import Path

import pytest
from deadly import write_deadly_tflite
from PIL import Image

from edgeferry.app import probe
from edgeferry.app.cli import run
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.inspection import inspect
from edgeferry.app.probe import Use, _refused, check_safe
from edgeferry.artifact import open_artifact
from edgeferry.contract import InputSpec
from edgeferry.errors import ArtifactError, EngineError
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.ort_runtime import OrtRuntime


@pytest.fixture
def old(tmp_path, write_network, matrix):
    """An artifact as an older edgeferry wrote it: without digest."""
    onnx = pytest.importorskip("onnx")
    path = write_network(tmp_path / "old.onnx", "fp32", matrix)
    model = onnx.load(path)
    (entry,) = model.metadata_props
    entry.value = entry.value[: entry.value.index(',"integrity"')] + "}"
    entry.value = entry.value.replace('"schema":4', '"schema":3')
    onnx.save(model, path)
    assert open_artifact(path).contract.integrity is None
    return path


def test_a_file_that_kills_its_engine_is_an_error_of_the_file(tmp_path, capfd):
    deadly = write_deadly_tflite(tmp_path / "deadly.tflite")
    given = tmp_path / "given.json"
    given.write_text('{"preprocessing": "none", "task": "raw"}')
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    for command in (
        ["inspect", str(deadly)],
        ["predict", str(deadly), str(tmp_path / "x.png"), "--contract", str(given)],
    ):
        assert run(command) == 2
        told = capfd.readouterr().err
        assert "deadly.tflite carries no digest" in told
        assert "signal 6" in told
        assert "Traceback" not in told


def test_an_older_artifact_is_tried_and_then_used(old, pictures, capfd):
    options = EvaluationOptions(pictures)
    assert evaluate([old], options).results[0].images == 20
    assert run(["inspect", str(old)]) == 0


def test_what_an_engine_refused_elsewhere_is_not_opened_here(
    old, tmp_path, write_network, matrix, pictures, monkeypatch
):
    """On one and the same broken file an engine may say so the first time, and crash the second."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(old)
    model.graph.node[0].op_type = "Unheard"
    onnx.save(model, old)
    good = write_network(tmp_path / "good.onnx", "fp32", matrix)
    opened = []
    monkeypatch.setattr(
        OrtRuntime,
        "_open",
        lambda self, real=OrtRuntime._open: (opened.append(self.path), real(self)),
    )
    assert "its operations are not known" in inspect(old, None, RuntimeOptions()).notes[0]
    report = evaluate([old, good], EvaluationOptions(pictures))
    assert list(report.failures) == ["old.onnx"]
    assert [each.artifact for each in report.results] == ["good.onnx"]
    assert set(opened) == {good}


def run_that_ends(*, begun):
    def run(work, arguments, progress, what, seconds):
        if begun:
            progress("trying out", 0, 1)
        raise EngineError(f"{what} took more than {seconds:g} s and was ended")

    return run


def test_what_takes_too_long_is_ended(old, monkeypatch):
    monkeypatch.setattr(probe, "run_in_child", run_that_ends(begun=True))
    with pytest.raises(ArtifactError, match=r"old\.onnx .* took more than 60 s"):
        check_safe([open_artifact(old)], Use())


def test_a_process_that_is_slow_to_start_is_no_fault_of_the_file(old, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0.0)
    with pytest.raises(EngineError, match="it took more than 0 s"):
        check_safe([open_artifact(old)], Use())


@pytest.fixture
def here(monkeypatch):
    """This process may do the child's work: it is not the first to end where memory is short."""
    monkeypatch.setattr(Path, "write_text", lambda *_: 0)


def test_the_time_of_a_file_begins_when_its_engine_is_imported(old, here, monkeypatch):
    steps = []
    monkeypatch.setattr(probe, "import_module", lambda name: steps.append(f"import {name}"))
    monkeypatch.setattr(probe, "_try", lambda path, use: steps.append("try"))
    assert _refused([old], Use(), lambda step, done, total: steps.append(step)) == []
    assert steps == ["import onnxruntime", "trying out", "try"]


def test_whatever_a_file_brings_about_there_is_an_error_of_the_file(old, here, monkeypatch):
    monkeypatch.setattr(InputSpec, "shape", (1 << 62, 8, 8, 3))
    ((path, error),) = _refused([old], Use(), lambda *_: None)
    assert (path, type(error)) == (old, ArtifactError)
    assert "old.onnx cannot be used" in str(error)


def test_a_file_with_digest_is_not_tried(tmp_path, write_network, matrix, monkeypatch):
    monkeypatch.setattr(probe, "run_in_child", lambda *_: pytest.fail("it was tried"))
    path = write_network(tmp_path / "new.onnx", "fp32", matrix)
    check_safe([open_artifact(path)], Use())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"matrix", b"matrix"[::-1]))
    with pytest.raises(ArtifactError, match="changed or damaged"):
        check_safe([open_artifact(path)], Use())
