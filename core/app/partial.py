"""What a run has finished so far, in a hidden folder beside its output, for another to go on."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from edgeferry.app.lock import Tell, hidden_beside
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_write_text, flush_to_disk, sha256_of

FILES = "files"
"""Name of the folder of what is finished."""
_SCHEMA = 1
_JOURNAL, _WORK = "journal.json", "work-"
_SHOWN = 40
"""Characters of a value that an error shows."""
_DIGEST = re.compile("[0-9a-f]{64}")

Finished = Mapping[str, Mapping[str, Any]]
"""Entries of a journal by name: ``files`` with their digests, and further facts."""


class Partial:
    """An output that is not whole yet: its finished files, and a journal with their digests.

    In ``files`` lies only what is finished. What is being written, be it by a process that
    outlives a killed run, is in the ``work`` folder of its own run.

    Args:
        output: What it will be.
        asked: What was asked for.
        finished: What is in ``files``; whatever else lies there is removed.

    Attributes:
        folder: Where all of it is.
        files: Folder of the finished files.
        work: Folder for everything else, empty at first.
    """

    def __init__(self, output: Path, asked: Mapping[str, Any], finished: Finished) -> None:
        self._output, self._lock = output, Lock()
        self.asked, self._finished = dict(asked), dict(finished)
        self.folder = partial_folder(output)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.files = self.folder / FILES
        self.files.mkdir(exist_ok=True)
        known = {name for group in self.groups() for name in group}
        for file in self.files.iterdir():
            if file.name not in known:
                file.unlink()
        self.work = Path(tempfile.mkdtemp(prefix=_WORK, dir=self.folder))

    def finished(self, name: str) -> Mapping[str, Any] | None:
        """What the journal knows of something that is finished; None where it is not."""
        return self._finished.get(name)

    def finish(self, name: str, files: Sequence[Path], facts: Mapping[str, Any]) -> None:
        """Take over files that are whole.

        Args:
            name: What they are together.
            files: Their paths, the one that is named first; they are moved.
            facts: Plain data to keep beside their digests.

        Raises:
            OutputError: If the system refuses that.
        """
        try:
            digests = {file.name: self._moved(file) for file in files}
        except OSError as error:
            raise _unwritable(self._output, error) from error
        with self._lock:
            self._finished.pop(name, None)
            self._finished[name] = {**facts, "files": digests}
            journal = {"schema": _SCHEMA, "asked": self.asked, "finished": self._finished}
            atomic_write_text(self.folder / _JOURNAL, json.dumps(journal, indent=2) + "\n")

    def _moved(self, file: Path) -> str:
        """Move a file that is whole, and tell its digest."""
        flush_to_disk(file)
        digest = sha256_of(file)
        file.replace(self.files / file.name)
        return digest

    def groups(self) -> list[list[str]]:
        """Names of the finished files, those together that make one thing."""
        return [list(each["files"]) for each in self._finished.values()]

    def ask(self, asked: Mapping[str, Any]) -> None:
        """Add to what is asked for.

        Raises:
            UsageError: If what is finished was made of something else.
        """
        self.asked |= same_as_before(self._output, self.asked, asked)


@contextmanager
def open_partial(
    output: Path, asked: Mapping[str, Any], resume: bool, tell: Tell
) -> Iterator[Partial]:
    """The partial output, with what an interrupted run had finished if that is to go on.

    It is removed at the end. If an error ends the block it stays, once anything is finished.
    Hold the lock on the output meanwhile.

    Args:
        output: The file or folder that is being made.
        asked: What is asked for, plain data: a run is continued with the same alone.
        resume: Whether to go on; else what is left is removed.
        tell: Told what becomes of it.

    Raises:
        UsageError: If the interrupted run was asked for something else.
        OutputError: If the folder cannot be written, or is another user's.
    """
    try:
        partial = _opened(output, asked, resume, tell)
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield partial
    except BaseException:
        left = partial.folder
        if partial.groups():
            left = partial.work
            tell(f"what is finished of {output} is kept: --resume goes on from there")
        shutil.rmtree(left, ignore_errors=True)
        raise
    shutil.rmtree(partial.folder, ignore_errors=True)


def partial_folder(output: Path) -> Path:
    """Where the partial output is.

    Raises:
        OutputError: If something is there that may be another user's.
    """
    folder = hidden_beside(output, "partial")
    if os.path.lexists(folder) and not _is_own(folder):
        raise OutputError(f"{folder} is no folder of yours", "Remove it, or name another place")
    return folder


@dataclass(frozen=True)
class _Earlier:
    """What the journal of an interrupted run says."""

    asked: Mapping[str, Any] = field(default_factory=dict)
    finished: Finished = field(default_factory=dict)


def _opened(output: Path, asked: Mapping[str, Any], resume: bool, tell: Tell) -> Partial:
    folder = partial_folder(output)
    earlier = _read(folder / _JOURNAL)
    if not resume or not earlier.finished:
        if earlier.finished:
            tell(f"what an earlier run had finished of {output} is dropped: no --resume was given")
        elif resume:
            tell(f"there is nothing of {output} to resume: it is made from the start")
        shutil.rmtree(folder, ignore_errors=True)
        return Partial(output, plain(asked), {})
    asked = {**earlier.asked, **same_as_before(output, earlier.asked, asked)}
    whole = {name: each for name, each in earlier.finished.items() if _is_whole(folder, each)}
    tell(f"going on with {output}: {len(whole)} finished by an earlier run")
    for work in folder.glob(f"{_WORK}*"):
        shutil.rmtree(work, ignore_errors=True)
    return Partial(output, asked, whole)


def _read(journal: Path) -> _Earlier:
    try:
        told = json.loads(journal.read_text(encoding="utf-8"))
        finished = {
            name: {**each, "files": dict(each["files"])} for name, each in told["finished"].items()
        }
        return _Earlier(dict(told["asked"]), finished) if told["schema"] == _SCHEMA else _Earlier()
    except (FileNotFoundError, AttributeError, KeyError, TypeError, ValueError):
        return _Earlier()


def _is_whole(folder: Path, entry: Mapping[str, Any]) -> bool:
    """Whether every file of an entry is there and as it was."""
    files = ((folder / FILES / name, digest) for name, digest in entry["files"].items())
    return all(path.is_file() and sha256_of(path) == digest for path, digest in files)


def _unwritable(output: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {output}: {error.strerror or error}")


def _is_own(folder: Path) -> bool:
    """Whether it is a folder of this user's: what another left must not become an output."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and (
        not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    )


def same_as_before(
    output: Path, earlier: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """What is asked for, as plain data, once it is seen that an earlier run was asked the same.

    Args:
        output: What both make.
        earlier: What the earlier run was asked for, as plain data.
        asked: What is asked for now.

    Raises:
        UsageError: If any of it was something else earlier.
    """
    told = plain(asked)
    changed = [
        f"{name} {_shown(earlier[name])}, not {_shown(value)}"
        for name, value in told.items()
        if name in earlier and earlier[name] != value
    ]
    if changed:
        raise UsageError(
            f"what is finished of {output} was made with {'; '.join(changed)}",
            "Resume with the same options and files, or begin anew without --resume",
        )
    return told


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Data as they come out of JSON again: lists for tuples."""
    return dict(json.loads(json.dumps(data)))


def _shown(value: object) -> str:
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:12]}…"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
