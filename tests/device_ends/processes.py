"""Looking at processes from outside, and waiting without sleeping.

For its fixture, a test module names this one in ``pytest_plugins``.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE = 30
"""Seconds that a test waits for what has to come."""


@pytest.fixture
def marker() -> Iterator[str]:
    """A text for command lines; what bears it at the end is a failure."""
    text = uuid.uuid4().hex
    yield text
    left = marked_processes(text)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def wait_until(condition: Callable[[], object], what: str = "it did not come") -> None:
    """Wait for a condition; fail when patience is over."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        os.sched_yield()


def marked_processes(marker: str) -> list[int]:
    """Processes with a text in their command line, other than this one; zombies have none."""
    wanted = marker.encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _command_line(pid)]


def descendants(pid: int) -> list[int]:
    """Children of a process, their children and so on."""
    parents = {each: parent for each in _pids() if (parent := _parent(each)) is not None}
    found = [pid]
    for each in found:
        found.extend(child for child, parent in parents.items() if parent == each)
    return found[1:]


def name_of(pid: int) -> str:
    """The program's short name; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
