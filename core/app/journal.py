"""What a benchmark knows so far, on disk as JSON while it runs, and read again to go on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgeferry.app.lock import Tell, output_lock
from edgeferry.app.results import Result, write_document
from edgeferry.app.results_check import read_results
from edgeferry.artifact import Artifact, artifact_digests
from edgeferry.devices.device import DeviceSettings
from edgeferry.errors import OutputError, UsageError

_SELDOM, _SHARE = 5.0, 50
"""Seconds between two writes while measuring, and how many times as long as a write took: this
machine may be the one that is measured."""

Key = tuple[str, str, str, str | None]
"""Device, file name and digests."""


class Journal:
    """A results document that grows in a file; where it cannot be written, work goes on.

    Args:
        path: The file.

    Attributes:
        problem: Why it could not be written; empty if it could.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._due = 0.0
        self._known = -1

    def is_due(self, known: int) -> bool:
        """Whether there is something new to write, or the last time is a while ago.

        Args:
            known: Number of results that are known.
        """
        return known != self._known or time.monotonic() >= self._due

    def write(self, known: int, document: Mapping[str, Any]) -> None:
        """Write the document, whole.

        Args:
            known: Number of results in it.
            document: What is known.
        """
        began = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_document(document, str(self.path), indent=None)
            self.problem = ""
        except (OSError, OutputError) as error:
            self.problem = f"there is no journal to resume from: {error}"
        now = time.monotonic()
        self._due, self._known = now + max(_SELDOM, _SHARE * (now - began)), known


class Earlier:
    """What an earlier run left.

    Args:
        document: What its journal holds.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.asked: Mapping[str, Any] = document["asked"]
        self.started: str = document["started"]
        self.devices: Mapping[str, Any] = {each["name"]: each for each in document["devices"]}
        self.results = {_key(each): result_from(each) for each in document["results"]}

    def check_device(self, settings: DeviceSettings) -> None:
        """See that a name stands for the same machine as it did.

        Raises:
            UsageError: If it does not.
        """
        was = self.devices.get(settings.name)
        now = {"address": settings.address, "profile": settings.profile}
        if was is not None and any(was[key] != value for key, value in now.items()):
            raise UsageError(
                f"{settings.name} was {was['address']} ({was['profile']}) in the earlier run",
                "Begin anew, without --resume",
            )

    def saved(self, device: str, group: Sequence[Artifact]) -> dict[Path, Result]:
        """Results of artifacts on a device, as far as there are any of these very files."""
        keys = {
            each.path: _key(
                {"device": device, "artifact": each.path.name, **artifact_digests(each.path)}
            )
            for each in group
        }
        return {path: self.results[key] for path, key in keys.items() if key in self.results}

    def facts(
        self, device: str, group: Sequence[Artifact]
    ) -> tuple[Mapping[str, Any], Mapping[str, Any] | None] | None:
        """Facts of the machine before and after a group was measured; None where not told."""
        names = [artifact.path.name for artifact in group]
        for facts in self.devices[device]["facts"]:
            if facts["artifacts"] == names:
                return facts["before"], facts["after"]
        return None

    def left_over(self, results: Sequence[Result], artifacts: Sequence[Artifact]) -> list[Result]:
        """Results that a new run neither replaces nor makes stale.

        Args:
            results: The new run's.
            artifacts: What it measures.
        """
        replaced = {(each.extra["device"], each.artifact) for each in results}
        now = {each.path.name: artifact_digests(each.path)["sha256"] for each in artifacts}
        return [
            result
            for (device, name, sha256, _), result in self.results.items()
            if (device, name) not in replaced and now.get(name, sha256) == sha256
        ]


@contextmanager
def open_journal(file: Path | None, resume: bool, tell: Tell) -> Iterator[Journal | None]:
    """The journal of a benchmark, which no other process writes meanwhile.

    Args:
        file: Where the results go, locked already; without one the journal has a file of its own.
        resume: Whether an interrupted run shall go on.
        tell: Told if another benchmark keeps its journal there: this one keeps none then.

    Raises:
        OutputError: If another one does, and the run of that journal shall go on.
    """
    path = file or journal_path(None)
    journal: Journal | None = Journal(path)
    with ExitStack() as stack:
        if file is None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(output_lock(path, "benchmark", tell))
            except (OSError, OutputError) as error:
                if resume:
                    raise
                journal = None
                reason = error.strerror if isinstance(error, OSError) else error
                tell(f"there will be nothing to resume from, for want of --json: {reason}")
        yield journal


def is_there_to_resume(path: Path, tell: Tell) -> bool:
    """Whether a file is there to go on with; a run may have been killed before it wrote one.

    Args:
        path: The file.
        tell: Told if it is not.
    """
    if not path.exists():
        tell(f"there is nothing to resume, {path} is missing: beginning from the start")
    return path.exists()


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
        earlier = Earlier(read_results(path, whole=True))
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
    return data["device"], data["artifact"], data["sha256"], data.get("weights_sha256")


def result_from(data: Mapping[str, Any]) -> Result:
    """A result, from what ``Result.to_dict`` gave."""
    common = {field.name for field in fields(Result)} - {"extra"}
    return Result(
        **{name: value for name, value in data.items() if name in common},
        extra={name: value for name, value in data.items() if name not in common},
    )
