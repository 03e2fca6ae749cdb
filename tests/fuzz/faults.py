"""A target that does what no case must do, so that the harness can be seen to find it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from random import Random
from typing import ClassVar

from edgeferry.errors import UsageError
from fuzz.target import Target


class Faults(Target):
    """Each case is the next of ``WAYS``."""

    full: ClassVar[int] = 0
    quick: ClassVar[int] = 0
    memory_mb: ClassVar[int] = 64
    seconds: ClassVar[float] = 0.5

    def make(self, random: Random, folder: Path) -> str:
        way = list(WAYS)[int(folder.name.partition("-")[2])]
        (folder / way).write_text(way)
        return way

    def run(self, folder: Path) -> None:
        (path,) = folder.iterdir()
        WAYS[path.name](folder)


def _refuse(_: Path) -> None:
    raise UsageError("no")


def _work(_: Path) -> None:
    while True:
        pass


def _take_memory(_: Path) -> None:
    assert len(bytearray(b"a") * (100 << 20))


def _crash(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _connect(_: Path) -> None:
    with socket.socket() as own:
        own.connect_ex(("127.0.0.1", 9))


WAYS = {
    "answer": lambda folder: (folder / "out").write_text("fine"),
    "refuse": _refuse,
    "raise": lambda _: 1 // 0,
    "crash": _crash,
    "work": _work,
    "wait": lambda _: time.sleep(1000),
    "memory": _take_memory,
    "write": lambda folder: (folder / "../../edgeferry-fuzz-outside").write_text("there"),
    "link": lambda folder: (
        (folder / "../../edgeferry-fuzz-outside").with_suffix(".link").symlink_to("a")
    ),
    "remove link": lambda folder: (folder / "../../edgeferry-fuzz-outside.link").unlink(),
    "remove": lambda folder: (folder / "../../edgeferry-fuzz-outside").unlink(missing_ok=True),
    "program": lambda _: subprocess.run(["true"]),
    "connect": _connect,
    "answer again": lambda folder: None,
}
