"""One command, killed at some moment: what it leaves, and what ``--resume`` makes of that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from device_ends.processes import descendants

from edgeferry.files import sha256_of

Digests = dict[str, str]
_LIMIT = 600
"""Seconds that a run may take."""


class Trial(ABC):
    """A command with one output in a folder of its own.

    Args:
        folder: The folder; it is made.
        command: What stands behind ``edgeferry``, but for the output.
    """

    output: str

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.folder, self._command = folder, command
        folder.mkdir(parents=True)

    def run(self, *more: str) -> tuple[int, str]:
        """Run it to its end; the exit code and what it said."""
        done = subprocess.run(self._line(more), capture_output=True, text=True, timeout=_LIMIT)
        return done.returncode, done.stderr.strip()

    def kill(self, ready: Callable[[float], bool], *more: str) -> tuple[bool, float]:
        """Run it until something is so; kill it and nothing else.

        Args:
            ready: Told the seconds that it has run.
            more: Further arguments.

        Returns:
            Whether it was killed before its end, and the seconds that its processes lived on.
        """
        began = time.monotonic()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(self._line(more), **quiet) as process:  # type: ignore[call-overload]
            while process.poll() is None and not ready(time.monotonic() - began):
                time.sleep(0.002)
            started = descendants(process.pid)
            process.kill()
        return process.returncode == -9, _seconds_until_gone(started)

    def hidden(self) -> list[str]:
        """What is left beside the output."""
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))

    def visible(self) -> list[str]:
        """What is there under its final name."""
        return sorted(path.name for path in self.folder.iterdir() if path.name[0] != ".")

    def finished(self) -> int:
        """How much an interrupted run had finished, by its journal."""
        return len(self._journal())

    def finished_files(self) -> list[str]:
        """Names of the files that an interrupted run had finished, by its journal."""
        return [name for each in self._journal().values() for name in each["files"]]

    def _journal(self) -> dict[str, Any]:
        journal = self.folder / f".{self.output}.partial" / "journal.json"
        return dict(json.loads(journal.read_text())["finished"]) if journal.exists() else {}

    @abstractmethod
    def state(self) -> Any:
        """What the output holds; None where there is none."""

    @abstractmethod
    def harm(self, whole: Any) -> str:
        """What is wrong with the output after a kill; empty if it is whole or not there.

        Args:
            whole: What an undisturbed run gives.
        """

    def _line(self, more: Sequence[str]) -> list[str]:
        place = "--json" if self.output.endswith(".json") else "-o"
        given = [*self._command, place, str(self.folder / self.output), *more]
        return [sys.executable, "-m", "edgeferry", *given]


class ExportTrial(Trial):
    """An export into a folder, which may hold an older export."""

    output = "out"

    def __init__(self, folder: Path, command: Sequence[str], old: Path | None = None) -> None:
        super().__init__(folder, command)
        self._old = {} if old is None else digests(old)
        if old is not None:
            shutil.copytree(old, folder / self.output)

    def state(self) -> Digests | None:
        folder = self.folder / self.output
        return digests(folder) if folder.exists() else None

    def harm(self, whole: Digests) -> str:
        found = self.state() or {}
        if not self._old:
            return "" if found in ({}, whole) else f"not whole: {sorted(found)}"
        kinds = {name: self._kind(name, digest, whole) for name, digest in found.items()}
        strange = [name for name, kind in kinds.items() if not kind]
        mixed = [
            name
            for name, kind in kinds.items()
            if name.endswith(".xml") and kinds.get(f"{name[:-4]}.bin") not in (kind, "both")
        ]
        told = kinds.get("manifest.json")
        untold = [name for name, kind in kinds.items() if told and kind not in (told, "both")]
        wrong = sorted({*strange, *mixed, *untold})
        return f"neither the old nor the new: {wrong}" if wrong else ""

    def _kind(self, name: str, digest: str, whole: Digests) -> str:
        old, new = self._old.get(name) == digest, whole.get(name) == digest
        return "both" if old and new else "old" if old else "new" if new else ""


class BundleTrial(Trial):
    """A bundle."""

    output = "bundle.tar.gz"

    def state(self) -> str | None:
        path = self.folder / self.output
        return sha256_of(path) if path.exists() else None

    def harm(self, whole: str) -> str:
        return "" if self.state() in (None, whole) else "another archive"


class ResultsTrial(Trial):
    """A command that keeps its results in a file as they come."""

    output = "results.json"

    def state(self) -> Digests | None:
        """The digests of the artifacts that there are results of, if it is complete."""
        document = self.document()
        if document is None or not document["complete"]:
            return None
        return {each["artifact"]: each["sha256"] for each in document["results"]}

    def harm(self, whole: Digests) -> str:
        try:
            document = self.document()
        except ValueError as error:
            return f"no JSON: {error}"
        found = [] if document is None else document["results"]
        strange = [each["artifact"] for each in found if whole[each["artifact"]] != each["sha256"]]
        return f"results of other files: {strange}" if strange else ""

    def finished(self) -> int:
        document = self.document()
        return 0 if document is None else len(document["results"])

    def document(self) -> dict[str, Any] | None:
        """What the file holds."""
        path = self.folder / self.output
        return json.loads(path.read_text()) if path.exists() else None


def digests(folder: Path) -> Digests:
    """SHA-256 of each file in a folder."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def _seconds_until_gone(processes: Sequence[int]) -> float:
    began = time.monotonic()
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in processes):
        time.sleep(0.01)
        if time.monotonic() - began > 60:
            return float("inf")
    return time.monotonic() - began
