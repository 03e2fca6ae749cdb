"""What a terminal shows of work under way."""

import io
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
