"""What a terminal shows of work under way."""

import io
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
