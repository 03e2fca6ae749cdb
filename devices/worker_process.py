"""The side that asks a worker: in a process of its own, or inside this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from edgeferry.devices.measurement import Trial
from edgeferry.errors import EngineError, described_error, process_ending, rebuilt_error
from edgeferry.streams import last_line

_CAN_PAUSE = hasattr(os, "waitid")
"""Not on Windows, nor on macOS before Python 3.13: idle processes just wait for input there."""


class WorkerProcess:
    """A process of its own for one trial.

    Args:
        trial: What it runs.
    """

    def __init__(self, trial: Trial) -> None:
        self._name = str(trial)
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, see close
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgeferry.devices.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._say(trial.to_dict())

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Give a command and wait for its answer.

        Raises:
            EdgeferryError: What the command raised, or that the process died.
        """
        self._say(command)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._death()
        answer = json.loads(line)
        if "error" in answer:
            raise rebuilt_error(answer["error"])
        return dict(answer["result"])

    def pause(self) -> None:
        """Stop the process where it is, with the threads that its engine lets spin."""
        if _CAN_PAUSE and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it run on."""
        if _CAN_PAUSE:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with self._process:
            pass
        self._stderr.close()

    def _say(self, content: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def _death(self) -> EngineError:
        ending = process_ending(self._process.wait())
        return EngineError(
            f"the process that measures {self._name} ended with {ending}", last_line(self._stderr)
        )


class WorkerInside:
    """A trial in this very process, for devices that cannot start others.

    Args:
        trial: What it runs.
    """

    def __init__(self, trial: Trial) -> None:
        from edgeferry.devices.worker import Bench

        self._bench = Bench(trial)

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command says.

        Raises:
            EdgeferryError: If it fails.
        """
        try:
            return self._bench.answer(command)
        except Exception as error:
            raise rebuilt_error(described_error(error, "measuring")) from error

    def pause(self) -> None:
        """Nothing: it only works when asked."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Give back the engine."""
        self._bench.close()
