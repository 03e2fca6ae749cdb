"""What fails is told and leaves nothing behind; what worked is kept."""

import json
import sys

import pytest

from edgeferry.app.cli import run
from edgeferry.app.export import ExportOptions, export
from edgeferry.artifact import find_artifacts
from edgeferry.errors import EngineError, SourceError, UsageError
from edgeferry.exporters.processes import Worker
from edgeferry.exporters.registry import EXPORTERS

pytest.importorskip("tensorflow")

THIRD_PARTY = '''
"""Formats that break in three ways, each after writing something."""

import os
import signal

from edgeferry.errors import UsageError
from edgeferry.exporters.base import Exporter
from edgeferry.registry import Entry

unprepared = Entry("third_party:Unprepared", formats=("unprepared",))
half = Entry("third_party:Half", formats=("half",))
killed = Entry("third_party:Killed", formats=("killed",))


class Half(Exporter):
    """Fails at its second artifact."""

    suffixes = (".tflite", ".extra")

    def prepare(self):
        return b"model"

    def tool_versions(self, precision):
        return {}

    def export(self, prepared, recipe, calibration, destination):
        for suffix in self.suffixes:
            destination.with_suffix(suffix).write_bytes(prepared)
        self.end()

    def end(self):
        raise RuntimeError("the second half is missing")


class Unprepared(Half):
    def prepare(self):
        raise UsageError("this cannot be prepared", "Try another format")


class Killed(Half):
    suffixes = (".xml", ".bin")

    def end(self):
        os.kill(os.getpid(), signal.SIGKILL)
'''
ENTRY_POINTS = "[edgeferry.exporters]\n" + "".join(
    f"{name} = third_party:{name}\n" for name in ("unprepared", "half", "killed")
)


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Install a package with broken formats, for this process and those it starts."""
    site = tmp_path / "site"
    (site / "third_party-1.0.dist-info").mkdir(parents=True)
    (site / "third_party.py").write_text(THIRD_PARTY)
    (site / "third_party-1.0.dist-info" / "METADATA").write_text("Name: third-party\nVersion: 1.0")
    (site / "third_party-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    vars(EXPORTERS).pop("plug_ins", None)  # asked for once in a process
    yield
    vars(EXPORTERS).pop("plug_ins", None)


@pytest.fixture
def broken_onnx(tmp_path, monkeypatch):
    """Let every process that converts to ONNX be killed by the system."""
    (tmp_path / "site" / "tf2onnx").mkdir(parents=True)
    (tmp_path / "site" / "tf2onnx" / "__init__.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def float_options(*formats):
    return ExportOptions(preprocessing="tf", formats=formats, precisions=("fp32",))


def test_failed_formats_do_not_lose_the_others(third_party, trained, tmp_path):
    output = tmp_path / "out"
    options = float_options("killed", "unprepared", "onnx", "half")
    report = export(trained.keras_path, output, options)
    assert [artifact.path.name for artifact in report.artifacts] == ["digits.fp32.onnx"]
    assert set(report.failures) == {"killed", "unprepared", "digits.fp32.tflite"}
    assert "signal 9" in report.failures["killed"]
    assert report.failures["unprepared"] == "this cannot be prepared\nTry another format"
    assert "the second half is missing" in report.failures["digits.fp32.tflite"]
    assert sorted(path.name for path in output.iterdir()) == ["digits.fp32.onnx", "manifest.json"]
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["failures"] == dict(report.failures)
    assert [each["artifact"] for each in manifest["artifacts"]] == ["digits.fp32.onnx"]


@pytest.mark.parametrize(("format", "error"), [("killed", EngineError), ("unprepared", UsageError)])
def test_where_all_fails_nothing_is_left(third_party, trained, tmp_path, format, error):
    (tmp_path / "results").mkdir()
    with pytest.raises(error):
        export(trained.keras_path, tmp_path / "results" / "out", float_options(format))
    assert list((tmp_path / "results").iterdir()) == []


def test_the_command_tells_and_exits_with_1(broken_onnx, trained, tmp_path, capfd):
    output = tmp_path / "out"
    asked = "--preprocessing tf --formats tflite,onnx --precisions fp32 --json -"
    assert run(["export", str(trained.keras_path), "-o", str(output), *asked.split()]) == 1
    shown, errors = capfd.readouterr()
    assert "onnx" in errors
    assert "signal 9: probably out of memory" in errors
    assert "Traceback" not in errors
    assert [each["artifact"] for each in json.loads(shown)["results"]] == ["digits.fp32.tflite"]
    assert [a.path.name for a in find_artifacts([output])] == ["digits.fp32.tflite"]


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Put a shell script in the place of the process that does the work."""

    def write(script):
        path = tmp_path / "worker"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return write


@pytest.mark.parametrize("size", [0, 1_000_000], ids=["short job", "long job"])
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("kill -KILL $$", r"onnx process ended with signal 9: .*memory\n.*--jobs 1"),
        ("kill -SEGV $$", r"onnx process ended with signal 11$"),
        ("echo no such thing >&2; exit 3", r"onnx process ended with exit code 3\nno such thing"),
    ],
)
def test_a_process_that_dies_says_how(worker, script, problem, size):
    worker(script)
    with Worker("onnx") as process:
        with pytest.raises(EngineError, match=problem):
            process.ask({"kind": "make", "filler": "x" * size})
        assert not process.alive


def test_progress_comes_through_and_then_the_result_of_each_job(worker):
    worker(
        """while read line
        do echo '{"progress": ["half", 1, 2]}'; echo '{"result": {"seconds": 3}}'
        done"""
    )
    told = []
    with Worker("onnx") as process:
        for _ in range(2):
            answer = process.ask({"kind": "make"}, lambda *step: told.append(step))
            assert answer == {"seconds": 3}
        assert process.alive
    assert told == [("half", 1, 2)] * 2


def test_an_error_keeps_its_kind_and_its_trace(tmp_path):
    options = {
        "preprocessing": "tf",
        "task": None,
        "head": None,
        "labels": None,
        "size": None,
        "batch": 1,
    }
    job = {
        "kind": "prepare",
        "source": str(tmp_path / "gone.keras"),
        "folder": str(tmp_path),
        "options": {**options, "resize": {}, "signature": ""},
    }
    with Worker("source") as process:
        with pytest.raises(SourceError, match=r"no model .*gone\.keras") as caught:
            process.ask(job)
        assert process.alive
    assert "Traceback" in caught.value.__notes__[0]
