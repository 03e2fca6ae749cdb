"""This machine as a device."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, ClassVar

from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.lines import Heard, chunks_of, end_of, lines_of
from edgeferry.errors import DeviceError, DeviceLostError, OutputError, TimeLimitError
from edgeferry.files import atomic_path, sha256_of


class LocalDevice(Device):
    """Runs commands as processes of this machine.

    Args:
        settings: Its folder is a temporary one, unless one is named.
    """

    transport: ClassVar[str] = "local"
    usual_python: ClassVar[str] = sys.executable

    def __init__(self, settings: DeviceSettings) -> None:
        super().__init__(settings)
        named = settings.folder
        self._folder = Path(named or tempfile.mkdtemp(prefix="edgeferry-")).absolute()
        self._temporary = named is None
        self._running: subprocess.Popen[bytes] | None = None
        self._closed = False

    def place(self, files: Sequence[Path]) -> list[str]:
        """They are where they are."""
        return [str(file.absolute()) for file in files]

    def digest(self, name: str) -> str | None:
        path = self._folder / name
        return sha256_of(path) if path.is_file() else None

    def close(self) -> None:
        self._closed = True
        if self._running is not None:
            _end(self._running)
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        if self._closed:
            raise DeviceLostError(f"{self.name} is closed")
        with tempfile.TemporaryFile() as complaints, self._started(command, complaints) as process:
            heard = Heard()
            over = threading.Event()
            timer = threading.Timer(command.time_limit, _end_late, (process, over))
            timer.start()
            threading.Thread(target=_end_leftovers, args=(process,), daemon=True).start()
            try:
                assert process.stdout is not None
                for line in lines_of(chunks_of(process.stdout)):
                    (listen or heard.append)(line)
                code = process.wait()
            finally:
                timer.cancel()
            if over.is_set():
                raise TimeLimitError(
                    f"{command} took more than {command.time_limit:g} s on {self.name}"
                )
            if self._closed:
                raise DeviceLostError(f"{self.name} was closed while {command} ran on it")
            stdout = heard.text()
            stderr = end_of(complaints)
            return Completed(_as_in_a_shell(code), stdout, stderr)

    @contextlib.contextmanager
    def _started(self, command: Command, stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._running = subprocess.Popen(
                self._arguments(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self._folder,
                env={**os.environ, **self._scratch(), **command.environment},
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"cannot run {command} on {self.name}: {error.strerror}") from error
        try:
            with self._running:
                try:
                    if self._closed:  # meanwhile, by another thread that saw no process yet
                        _end(self._running)
                    yield self._running
                finally:
                    _end(self._running)
        finally:
            self._running = None

    def _arguments(self, command: Command) -> Sequence[str]:
        """What is really started for a command."""
        return command.arguments

    def _scratch(self) -> dict[str, str]:
        """Let a command's temporary files go with the folder, however the command ends."""
        return {"TMPDIR": str(self._folder)} if self._temporary else {}

    def _push(self, source: Path, name: str) -> None:
        destination = self._folder / name
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(destination) as temporary:
                shutil.copyfile(source, temporary)
        except (OSError, OutputError) as error:
            raise DeviceError(f"cannot send {name} to {self.name}: {error}") from error

    def _pull(self, name: str, destination: Path) -> None:
        source = self._folder / name
        if not source.is_file():
            raise DeviceError(f"there is no file {name} on {self.name}")
        with atomic_path(destination) as temporary:
            shutil.copyfile(source, temporary)


def _end_late(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    over.set()
    _end(process)


def _end_leftovers(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process, then end what it started, which might hold its output open."""
    process.wait()
    _end(process)


def _as_in_a_shell(code: int) -> int:
    """The exit code that a shell gives: 128 and the signal for one that a signal ended."""
    return code if code >= 0 else 128 - code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started, in its own session."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
