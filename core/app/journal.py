"""What a benchmark knows so far, on disk as JSON while it runs, and read again to go on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgeferry.app.results import Result, write_document
from edgeferry.errors import UsageError

_EVERY = 5.0
"""Seconds between two writes while measuring: seldom, since this machine may be measured."""

Key = tuple[str, str, str | None]
"""Device and digests."""


class Journal:
    """A results document that grows in a file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0.0
        self._known = -1

    def is_due(self, known: int) -> bool:
        """Whether there is something new to write, or the last time is a while ago.

        Args:
            known: Number of results that are known.
        """
        return known != self._known or time.monotonic() - self._written >= _EVERY

    def write(self, known: int, document: Mapping[str, Any]) -> None:
        """Write the document, whole.

        Args:
            known: Number of results in it.
            document: What is known.

        Raises:
            OutputError: If it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_document(document, str(self.path))
        self._written, self._known = time.monotonic(), known


class Earlier:
    """What an earlier run left.

    Args:
        document: What its journal holds.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.asked: Mapping[str, Any] = document["asked"]
        self.started: str = document["started"]
        self.devices: Mapping[str, Any] = {each["name"]: each for each in document["devices"]}
        self._results = {_key(each): _result(each) for each in document["results"]}

    def find(self, device: str, digests: Mapping[str, str | None]) -> Result | None:
        """The result of an artifact on a device, if there is one."""
        return self._results.get(_key({"device": device, **digests}))


def journal_path(json_option: str | None) -> Path:
    """Where a benchmark is written while it runs: where its results go, else a file of its own."""
    if json_option not in (None, "-"):
        return Path(str(json_option))
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "edgeferry" / "benchmark.json"


def read_earlier(path: Path, asked: Mapping[str, Any]) -> Earlier:
    """Read an earlier run that shall be continued.

    Args:
        path: Its journal.
        asked: What is asked for now; it has to be the same.

    Raises:
        UsageError: If there is none, or it was another one.
    """
    try:
        earlier = Earlier(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(f"there is nothing to resume: {path} is missing") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} holds no benchmark that can be resumed: {error!r}") from error
    changed = [name for name, value in asked.items() if earlier.asked.get(name) != value]
    if changed:
        was = ", ".join(f"{name} {earlier.asked.get(name)}" for name in changed)
        raise UsageError(f"{path} was measured with {was}", "Resume with the same options")
    return earlier


def _key(data: Mapping[str, Any]) -> Key:
    return data["device"], data["sha256"], data.get("weights_sha256")


def _result(data: Mapping[str, Any]) -> Result:
    common = {field.name for field in fields(Result)} - {"extra"}
    return Result(
        **{name: value for name, value in data.items() if name in common},
        extra={name: value for name, value in data.items() if name not in common},
    )
