"""Ctrl-C: exit code 130, no traceback, no process, no temporary file, nothing half done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Timer

import pytest

from edgeferry.app import entry
from edgeferry.app.cli import run
from edgeferry.errors import EngineError, was_interrupted
from edgeferry.exporters.processes import Workers
from edgeferry.runtimes.base import engine_errors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sessions are read from /proc")
SECONDS, TOLD = 60, "edgeferry: interrupted\n"
SOON = 10


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C, also where a shell that started the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("command", "moment", "tell"),
    [
        ("predict ARTIFACT PICTURE --annotate out/x.png", "opened", os.kill),
        ("evaluate ARTIFACT --images PICTURES --json out/x.json", "opened", os.killpg),
        ("benchmark ARTIFACT --duration 20 --json out/x.json", "local: slice", os.killpg),
        (
            "export SOURCE --preprocessing tf --precisions fp32 --formats onnx -o out/x",
            "onnx started",
            os.killpg,
        ),
    ],
    ids=["predict", "evaluate", "benchmark", "export"],
)
def test_ctrl_c_ends_a_command_and_all_it_started(command, moment, tell, exported, tmp_path):
    for name in ("home", "scratch", "out"):
        (tmp_path / name).mkdir()
    words = {
        "ARTIFACT": str(exported.folder / "digits.int8.onnx"),
        "PICTURE": str(next(exported.pictures.glob("*/*.png"))),
        "PICTURES": str(exported.pictures),
        "SOURCE": str(exported.keras_path),
    }
    arguments = [words.get(each, each) for each in command.split()]
    done, errors = interrupted(arguments, moment, tell, tmp_path)
    assert done.returncode == entry.INTERRUPTED, errors
    assert "Traceback" not in errors
    assert errors.endswith(TOLD)
    assert ": movement" not in errors  # what an export asks last
    assert not list((tmp_path / "scratch").iterdir())
    assert soon_over(done.pid) == []
    whole = [each for each in (tmp_path / "out").iterdir() if not each.name.startswith(".")]
    assert [each.name for each in whole] == (["x.json"] if "benchmark" in command else [])


def interrupted(
    arguments: Sequence[str], moment: str, tell, folder: Path
) -> tuple[subprocess.Popen[str], str]:
    """Run a command until its log tells that it is at some moment; interrupt it there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeferry", "-vv", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "HOME": str(folder / "home"), "TMPDIR": str(folder / "scratch")},
        start_new_session=True,
    )
    late = Timer(SECONDS, process.kill)
    late.start()
    try:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if re.search(moment, line):
                break
        tell(process.pid, signal.SIGINT)
        _, rest = process.communicate()
    finally:
        late.cancel()
    return process, "".join(seen) + rest


def soon_over(session: int) -> list[str]:
    """The processes of a session that do not end in time."""
    deadline = time.monotonic() + SOON
    while (left := alive(session)) and time.monotonic() < deadline:
        os.sched_yield()
    return left


def alive(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # gone meanwhile
            continue
        if int(own) == session and state != "Z":
            found.append(stat.parent.name)
    return found


def test_an_interrupt_that_a_native_module_made_an_error_of_is_one(monkeypatch, tmp_path):
    def importing(*arguments):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise ImportError("initialization failed") from stop

    with pytest.raises(KeyboardInterrupt), engine_errors("opening"):
        importing()
    monkeypatch.setattr("edgeferry.app.inspection.inspect", importing)
    assert run(["inspect", str(tmp_path)]) == entry.INTERRUPTED
    assert not was_interrupted(ImportError("initialization failed"))


def test_an_error_while_an_interrupt_is_handled_is_an_error():
    """A program may ask for one more picture when it was interrupted."""

    def fail():
        raise RuntimeError("bad tensor")

    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(EngineError, match="bad tensor"), engine_errors("running"):
            fail()


def test_an_interrupt_before_the_command_line_is_loaded(monkeypatch, capfd):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", interrupt)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(signal, "signal", lambda *given: None)  # this process goes on
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == entry.INTERRUPTED
    assert capfd.readouterr().err == TOLD


def test_an_interrupt_in_a_finalizer_is_not_lost():
    program = """
import signal, sys, time
from edgeferry.app import entry

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        [None for _ in range(1000)]

def run():
    Finalized()
    time.sleep(60)
    return 0

entry._run = run
entry.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (entry.INTERRUPTED, TOLD)


def test_workers_that_were_told_to_end_start_no_more():
    with Workers() as workers:
        worker = workers.start("source")
        assert worker.alive
    with pytest.raises(EngineError, match="interrupted"):
        workers.start("onnx")
    with worker, pytest.raises(EngineError, match="source process ended"):
        worker.ask({"kind": "movement"})
