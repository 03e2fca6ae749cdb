"""What a terminal shows of work under way."""

import io
import os
import subprocess
import sys

from edgeferry.app.console import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_time_left_stands_beside_the_time_taken(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar() as progress:
        progress("evaluating", 1, 4)
    assert "1/4" in terminal.getvalue()
    assert "left" in terminal.getvalue()
    assert "-:--:--" in terminal.getvalue()


def test_warning_comes_through_at_once():
    code = """
import os
from edgeferry.app.console import engine_chatter, warn
with engine_chatter(shown=False):
    warn("this first")
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "edgeferry: this first\n"


def test_a_file_whose_name_is_no_text_is_shown(write_network, matrix, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.onnx"
    artifact = write_network(tmp_path / "net.onnx", "fp32", matrix)
    artifact.rename(os.fsdecode(path))
    done = subprocess.run(
        [sys.executable, "-m", "edgeferry", b"verify", path],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"??.onnx" in done.stdout
