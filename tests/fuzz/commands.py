"""Damaged artifacts given to the command line, native engines and all, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from typing import ClassVar

from PIL import Image

from edgeferry.app.probe import SECONDS
from edgeferry.errors import ArtifactError
from fuzz.artifacts import ArtifactFiles, OnnxFiles, OpenvinoFiles, TfliteFiles
from fuzz.target import Target

_LONGEST = 3 * SECONDS
"""Seconds of a command on a busy machine: it may start a process to try a file out."""


class Commands(Target):
    """``edgeferry inspect`` and ``predict``; half of the files carry no digest."""

    full: ClassVar[int] = 300
    quick: ClassVar[int] = 2
    memory_mb: ClassVar[int] = 64
    waiting: ClassVar[float] = 2 * _LONGEST
    programs: ClassVar[bool] = True

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        kinds: tuple[type[ArtifactFiles], ...] = (TfliteFiles, OnnxFiles, OpenvinoFiles)
        self._sealed = [kind(artifacts, scratch) for kind in kinds]
        bare = scratch / "bare"
        bare.mkdir()
        for path in artifacts.iterdir():
            (bare / path.name).write_bytes(_without_digest(path.read_bytes()))
        self._bare = [kind(bare, scratch) for kind in kinds]
        Image.new("RGB", (40, 30), "red").save(scratch / "red.png")

    def make(self, random: Random, folder: Path) -> str:
        files = random.choice((self._sealed, self._bare))
        done = random.choice(files).make(random, folder)
        return f"{done}, {'with' if files is self._sealed else 'without'} digest"

    def run(self, folder: Path) -> None:
        (path,) = (each for each in folder.iterdir() if each.suffix != ".bin")
        for command in (["inspect", str(path)], ["predict", str(path), self.scratch / "red.png"]):
            done = subprocess.run(
                [sys.executable, "-m", "edgeferry", *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LONGEST,
            )
            told = done.stderr.decode(errors="replace")
            assert done.returncode in (0, 1, 2), f"{command[0]}: {done.returncode}\n{told}"
            assert "Traceback" not in told, told
        if done.returncode:
            raise ArtifactError(told)


def _without_digest(data: bytes) -> bytes:
    """The same file as one before there were digests, of the same length."""
    for quote in (b'"', b"&quot;"):
        schema, name = quote + b"schema" + quote + b":", quote + b"integrity" + quote
        data = data.replace(schema + b"4", schema + b"3")
        data = data.replace(name, name.replace(b"y", b"x"))
    return data
