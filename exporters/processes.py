"""Heavy work in processes of its own: memory, crashes and threads stay apart.

A worker is ``python -m edgeferry.exporters.worker``. It reads jobs from standard input, a line of
JSON each, and keeps between them what they share. To each it answers in JSON lines: ``progress``
any number of times, then ``result`` or ``error``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from edgeferry.closing import Closing
from edgeferry.errors import EngineError, process_ending, rebuilt_error
from edgeferry.progress import Progress, logger, silent
from edgeferry.streams import last_line

_log = logger(__name__)
_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}


class Worker(Closing):
    """A fresh process that does one job after another.

    It ends with this process too, whatever it does then.

    Args:
        name: What it works on, for the error when it dies.
        scratch: Folder for its temporary files, so that none stays behind that the owner of the
            folder does not know of; None is the system's.
    """

    def __init__(self, name: str, scratch: Path | None = None) -> None:
        self._name = name
        self._opened = ExitStack()
        said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (the stack closes it)
        self._stderr = self._opened.enter_context(said)
        self._process = self._opened.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "edgeferry.exporters.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env={**os.environ, **_ENVIRONMENT, **_temporary(scratch)},
            )
        )
        _log.info("process %d for %s started", self._process.pid, name)

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def ask(self, job: Mapping[str, Any], progress: Progress = silent) -> dict[str, Any]:
        """Let it do one job and wait for it.

        Args:
            job: Plain data; ``kind`` says what to do.
            progress: Told how far the worker is.

        Raises:
            EdgeferryError: What the worker raised, or that it died.
        """
        process = self._process
        _log.debug("process %d: %s %s", process.pid, job["kind"], job.get("destination", ""))
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # it died before it listened; how is told at the end
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            kind, content = json.loads(line).popitem()
            if kind == "progress":
                progress(*content)
            elif kind == "error":
                raise rebuilt_error(content)
            else:
                return dict(content)
        code = process.wait()
        raise EngineError(
            f"the {self._name} process ended with {process_ending(code)}",
            "Let one format run at a time: --jobs 1" if code == -9 else last_line(self._stderr),
        )

    def kill(self) -> None:
        """End the process, whatever it does, from any thread; one that asks it gets an error."""
        self._process.kill()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.kill()
        _log.info("process %d for %s ended", self._process.pid, self._name)
        with suppress(BrokenPipeError):  # what it was told last, it did not hear
            self._opened.close()


class Workers(Closing):
    """Workers of several threads, which end together."""

    def __init__(self) -> None:
        self._started: list[Worker] = []
        self._are_closed = False

    def start(self, name: str, scratch: Path | None = None) -> Worker:
        """Start one; arguments as of ``Worker``.

        Raises:
            EngineError: If they were told to end.
        """
        self.check()
        worker = Worker(name, scratch)
        self._started.append(worker)
        if self._are_closed:  # told between the two
            worker.kill()
        return worker

    def check(self) -> None:
        """See whether to go on.

        Raises:
            EngineError: If they were told to end.
        """
        if self._are_closed:
            raise EngineError("the export was interrupted")

    def close(self) -> None:
        """End them, whatever they do: threads that wait for them get an error."""
        self._are_closed = True
        for each in self._started:
            each.kill()


def _temporary(folder: Path | None) -> dict[str, str]:
    """What tells a process where temporary files go."""
    return {} if folder is None else {"TMPDIR": str(folder.absolute())}
