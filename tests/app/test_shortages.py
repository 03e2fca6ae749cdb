"""No memory, no room, no leave to write, clocks that jump: an error that says so, or the answer."""

from __future__ import annotations

import ast
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeferry.app.cli import run
from edgeferry.errors import EngineError, described_error, reason_of
from edgeferry.runtimes.base import engine_errors

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "calibration", "exporters", "runtimes", "devices")
DISK = 64 * 1024
MIB = 2**20
MEASURED = """
import sys
from edgeferry.app.cli import run

code = run(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmPeak:")))
sys.exit(code)
"""


@pytest.fixture
def artifact(tmp_path, write_network, matrix):
    return write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)


@pytest.fixture
def mounted(tmp_path):
    """Mount a small disk of its own with some options; taken away in the end."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this user may not mount a disk")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.fixture
def full_disk(mounted):
    """A folder that takes names but hardly a byte."""
    folder = mounted(f"size={DISK}")
    (folder / "ballast").write_bytes(bytes(DISK - 4096))
    return folder


@pytest.fixture
def commands(artifact, pictures, tmp_path):
    """What writes a file larger than a page, by its name."""
    picture = next(pictures.glob("*/*.png"))
    results = tmp_path / "evaluate.json"
    assert run(["evaluate", str(artifact), "--images", str(pictures), "--json", str(results)]) == 0
    return {
        "evaluate.json": ["evaluate", artifact, "--images", pictures, "--json"],
        "answers.png": ["predict", artifact, picture, "--annotate"],
        "report.html": ["report", results, "-o"],
        "bundle.tar.gz": ["bundle", artifact, "--device", "raspberry-pi-4", "-o"],
    }


@pytest.mark.parametrize("name", ["evaluate.json", "answers.png", "report.html", "bundle.tar.gz"])
def test_a_full_disk_is_told_and_gets_no_half_file(name, commands, full_disk, capfd):
    assert refused(capfd, *commands[name], full_disk / name, says=os.strerror(errno.ENOSPC))
    assert os.listdir(full_disk) == ["ballast"]


def test_an_export_to_a_full_disk_leaves_nothing(exported, full_disk, capfd):
    command = ["export", exported.keras_path, "--preprocessing", "tf", "--formats", "onnx"]
    command += ["--precisions", "fp32", "-o", full_disk / "out"]
    refused(capfd, *command, says=os.strerror(errno.ENOSPC))
    assert os.listdir(full_disk) == ["ballast"]


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_without_room_for_its_cache_an_engine_runs_all_the_same(suffix, exported, full_disk):
    import edgeferry

    path, image = exported.folder / f"digits.int8{suffix}", exported.images[0]
    with edgeferry.load(path) as plain, edgeferry.load(path, cache=full_disk) as cached:
        np.testing.assert_array_equal(cached.predict_proba(image), plain.predict_proba(image))


@pytest.mark.parametrize("name", ["evaluate.json", "answers.png", "report.html", "bundle.tar.gz"])
def test_a_disk_that_is_read_only_is_told(name, commands, mounted, capfd):
    refused(capfd, *commands[name], mounted("ro") / name, says=os.strerror(errno.EROFS))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "out of memory"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"),
            "No space left on device: /tmp/x",
        ),
        (RuntimeError("can't start new thread"), "memory is short"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), os.strerror(errno.EAGAIN)),
        (OSError(errno.EIO, os.strerror(errno.EIO)), os.strerror(errno.EIO)),
    ],
    ids=["memory", "disk", "threads", "processes", "sound disk"],
)
def test_what_the_machine_lacks_is_no_internal_error(error, says, artifact, monkeypatch, capfd):
    def lacking(*arguments):
        raise error

    monkeypatch.setattr("edgeferry.app.inspection.inspect", lacking)
    refused(capfd, "inspect", artifact, says=says)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "Exception from src/core.cpp:1:\nCheck 'x' failed at y.cpp:2:\nstd::bad_alloc\n"
        ),
        ValueError("Mmap of '5' at offset '0' failed with error '12'."),
    ],
)
def test_engines_that_lack_memory_say_so(error):
    with pytest.raises(EngineError, match=r"^opening: out of memory$"), engine_errors("opening"):
        raise error
    assert described_error(error, "measuring")["problem"].endswith("out of memory")


def test_where_openvino_stopped_is_not_what_it_says():
    text = "Exception from src/core.cpp:1:\nCheck 'false' failed at y.cpp:2:\nUnable to read it\n\n"
    assert reason_of(RuntimeError(text)) == "Unable to read it"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_little_memory_is_an_answer_or_an_error(exported, tmp_path):
    pytest.importorskip("ai_edge_litert")
    picture, answers = next(exported.pictures.glob("*/*.png")), tmp_path / "answers.json"
    command = ["predict", str(exported.folder / "digits.int8.tflite"), str(picture)]
    command += ["--json", str(answers)]
    code, enough, _ = limited(command, None)
    assert code == 0
    for less in (8, 16, 24):
        answers.unlink(missing_ok=True)
        code, _, errors = limited(command, enough - less * MIB)
        assert code in (0, 2), errors
        assert "Traceback" not in errors
        assert os.listdir(tmp_path) == [answers.name] * (code == 0)


def limited(command: list[str], limit: int | None) -> tuple[int, int, str]:
    """The exit code with so many bytes of address space, the most that were used, the errors."""

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=bound,
    )
    kilobytes = done.stdout.rpartition("VmPeak:")[2].split()
    return done.returncode, int(kilobytes[0]) * 1024 if kilobytes else 0, done.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_no_duration_is_taken_from_a_clock_that_can_be_set(room):
    for file in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            read = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            name = f"{node.value.id}.{node.attr}" if read else ""
            assert name not in ("time.time", "time.time_ns", "time.localtime"), file


@pytest.mark.parametrize("speed", ["x100000", "x-100000"], ids=["forward", "back"])
def test_a_benchmark_does_not_heed_a_clock_that_jumps(speed, exported, tmp_path):
    faketime = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if faketime is None:
        pytest.skip("faketime is not installed")
    results = tmp_path / "benchmark.json"
    clock = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME": f"+0 {speed}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", "edgeferry", "benchmark", "--duration", "0.1"]
    command += [str(exported.folder / "digits.int8.onnx"), "--json", str(results)]
    done = subprocess.run(
        command, env={**os.environ, **clock}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(results.read_text())["results"]
    assert 0 < result["p50_ms"] < 1000


def refused(capfd, *arguments, says: str) -> bool:
    """Run what must fail with exit code 2 and a plain text."""
    code = run([str(each) for each in arguments])
    errors = capfd.readouterr().err
    assert code == 2, errors
    assert says in errors
    assert "Traceback" not in errors
    return True
