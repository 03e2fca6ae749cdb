"""An Android phone, through the program ``adb`` and its server."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.guard import GRACE, NO_FOLDER, TIME_UP, guarded
from edgeferry.devices.lines import LineReader
from edgeferry.errors import DeviceError, DeviceLostError, MissingDependencyError, TimeLimitError
from edgeferry.files import atomic_path

_FOLDER = "/data/local/tmp/edgeferry"
_MARGIN = GRACE + 4
"""Seconds that a device has to tell that a command's time is up."""
_ANSWER = 15
"""Seconds that adb, or a device, has for a short answer; adb itself waits 10 to connect."""
_CHUNK = 1 << 16
_STATES = {
    "unauthorized": (
        "{name} does not trust this computer",
        "Unlock its screen and allow USB debugging in the dialog that it shows.",
    ),
    "authorizing": ("{name} is still being asked to trust this computer", "Look at its screen."),
    "offline": (
        "{name} is offline: adb sees it, but it does not answer",
        "Connect it anew, or run: adb reconnect offline",
    ),
    "permissions": (
        "this user may not open the USB port of {name}",
        "Install Android's udev rules (Debian: android-sdk-platform-tools-common).",
    ),
    "more than one": (
        "adb sees more than one device",
        "Name one as adb://SERIAL; adb devices lists the serials.",
    ),
    "no devices": (
        "adb sees no device",
        "Connect one and switch USB debugging on; adb devices lists what adb sees.",
    ),
    "not found": (
        "adb sees no device {serial}",
        "Connect it and switch USB debugging on; adb devices lists what adb sees.",
    ),
}
"""What adb says of a device that cannot be used, and what that means."""


class AdbDevice(Device):
    """Runs commands in a phone's shell.

    The program is ``adb`` of ``PATH``, or the one that the variable ``ADB`` names. Its server
    belongs to the user: it is started if there is none, and stays.

    Args:
        settings: The address is ``adb://SERIAL``, ``adb://HOST:PORT`` for a phone that listens on
            the network, or ``adb://`` for the only one there is.
    """

    transport: ClassVar[str] = "adb"

    def __init__(self, settings: DeviceSettings) -> None:
        super().__init__(settings)
        self._serial = settings.address.removeprefix("adb://")
        self._selected = ["-s", self._serial] if self._serial else []
        self._folder = settings.folder or _FOLDER
        self._reached = False
        self._closed = False
        self._running: set[subprocess.Popen[bytes]] = set()

    def digest(self, name: str) -> str | None:
        script = '[ ! -f "$1" ] || sha256sum <"$1"'
        told = self._do("sh", "-c", script, "sh", name, limit=60).split()
        return told[0] if told else None

    def close(self) -> None:
        self._closed = True
        for process in tuple(self._running):
            process.kill()

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        self._reach()
        mark = secrets.token_hex(8)
        line = guarded(command, self._folder, f"echo {mark} $code")
        heard: list[str] = []
        started = time.monotonic()
        with tempfile.TemporaryFile() as complaints:
            with self._started([*self._selected, "shell", line], complaints) as process:
                timer = threading.Timer(command.time_limit + _MARGIN, process.kill)
                timer.start()
                try:
                    code = _listen(process, mark, listen or heard.append)
                finally:
                    timer.cancel()
            complaints.seek(0)
            stderr = complaints.read().decode(errors="replace")
        took = time.monotonic() - started
        if code is None and process.returncode == NO_FOLDER:
            raise DeviceError(f"{self.name} cannot use the folder {self._folder}: {_last(stderr)}")
        if code is None:
            raise self._lost(f"{command} ran on it", took > command.time_limit + GRACE)
        if code in TIME_UP and took >= command.time_limit:
            raise TimeLimitError(
                f"{command} took more than {command.time_limit:g} s on {self.name}"
            )
        return Completed(code, "".join(f"{each}\n" for each in heard), stderr)

    def _push(self, source: Path, name: str) -> None:
        temporary = f"{name}.{secrets.token_hex(4)}.part"
        self._do("mkdir", "-p", "--", str(PurePosixPath(name).parent))
        try:
            told = self._transfer("push", str(source.absolute()), self._path(temporary))
            if told:
                raise self._refused(f"{source.name} cannot be sent to {self.name}", told)
            self._do("mv", "-f", "--", temporary, name)
        except DeviceLostError:
            raise
        except DeviceError:
            with contextlib.suppress(DeviceError):
                self._do("rm", "-f", "--", temporary)
            raise

    def _pull(self, name: str, destination: Path) -> None:
        with atomic_path(destination) as temporary:
            told = self._transfer("pull", self._path(name), str(temporary.absolute()))
            if re.search("does not exist|No such file", told):
                raise DeviceError(f"there is no file {name} on {self.name}")
            if told:
                raise DeviceError(f"{name} cannot be fetched from {self.name}: {_last(told)}")

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _do(self, *arguments: str, limit: float = 10) -> str:
        """Run a small command that has to go well; what it printed."""
        command = Command(arguments, limit)
        done = self._run(command, None)
        if done.code != 0:
            raise self._refused(f"{command} failed on {self.name}", done.stderr or done.stdout)
        return done.stdout

    def _refused(self, problem: str, told: str) -> DeviceError:
        if "No space left" not in told:
            return DeviceError(f"{problem}: {_last(told)}")
        left = _last(self._run(Command(["df", "-h", "."], 10), None).stdout)
        return DeviceError(f"{problem}: no space left there ({left})", "Delete something on it.")

    def _transfer(self, *arguments: str) -> str:
        """Have adb copy a file; what it complains of, empty if nothing."""
        self._reach()
        doing = f"a file was {arguments[0]}ed"
        with self._started([*self._selected, *arguments]) as process:
            while True:
                try:
                    output, _ = process.communicate(timeout=_ANSWER)
                    break
                except subprocess.TimeoutExpired:
                    if not self._answers():
                        raise self._lost(doing, frozen=True) from None
        if process.returncode == 0:
            return ""
        if self._closed or not self._answers():
            raise self._lost(doing)
        errors = [line for line in output.decode(errors="replace").splitlines() if "error" in line]
        return "\n".join(errors) or f"adb ended with exit code {process.returncode}"

    def _lost(self, meanwhile: str, frozen: bool = False) -> DeviceLostError:
        self._reached = False
        if self._closed:
            return DeviceLostError(f"{self.name} was closed while {meanwhile}")
        how = "stopped answering" if frozen else "was lost"
        return DeviceLostError(
            f"{self.name} {how} while {meanwhile}", "adb devices tells whether it is back."
        )

    def _reach(self) -> None:
        """Make sure, once, that the device can be used."""
        if self._reached:
            return
        if ":" in self._serial and self._state() != "device":
            # What broke stays with adb, as offline, until it is told to let go.
            self._ask(["disconnect", self._serial])
            told = self._ask(["connect", self._serial])
            if "connected to" not in told:  # the exit code is 0 either way
                raise DeviceError(
                    f"{self.name} cannot be reached: {told}",
                    "Is it on, in this network, and does it listen (adb tcpip 5555, by USB)?",
                )
        state = self._state()
        if state != "device":
            raise self._unusable(state)
        self._reached = True

    def _state(self) -> str:
        return self._ask([*self._selected, "get-state"])

    def _unusable(self, told: str) -> DeviceError:
        for sign, (problem, remedy) in _STATES.items():
            if sign in told:
                return DeviceError(problem.format(name=self.name, serial=self._serial), remedy)
        return DeviceError(f"{self.name} cannot be used: adb says {told!r}")

    def _answers(self) -> bool:
        with contextlib.suppress(DeviceError):
            return self._ask([*self._selected, "shell", "echo here"]) == "here"
        return False

    def _ask(self, arguments: list[str]) -> str:
        """What adb answers, without what it tells of its server."""
        with self._started(arguments) as process:
            try:
                output, _ = process.communicate(timeout=_ANSWER)
            except subprocess.TimeoutExpired:
                raise DeviceError(f"adb {arguments[-1]} gave no answer for {self.name}") from None
        lines = output.decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("* ")).strip()

    @contextlib.contextmanager
    def _started(
        self, arguments: list[str], stderr: IO[bytes] | int = subprocess.STDOUT
    ) -> Iterator[subprocess.Popen[bytes]]:
        """An adb process, gone when the block ends; its standard input is a lifeline."""
        with subprocess.Popen(
            [_program(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process:
            self._running.add(process)
            try:
                if self._closed:
                    process.kill()
                yield process
            finally:
                process.kill()
                self._running.discard(process)


def _program() -> str:
    wanted = os.environ.get("ADB") or "adb"
    found = shutil.which(wanted)
    if found is None:
        raise MissingDependencyError(
            f"there is no program {wanted}, which reaches Android phones",
            "Install it (Debian: apt install adb), or name it in the variable ADB.",
        )
    return found


def _listen(process: subprocess.Popen[bytes], mark: str, tell: Listener) -> int | None:
    """Hand on its lines up to the mark; the exit code behind that, None if it never came."""
    assert process.stdout is not None
    marked = re.compile(rf"(.*){mark} (\d+)")
    code = None
    for line in _lines(process.stdout):
        match = marked.fullmatch(line)
        if match is not None:
            code = int(match[2])
        if match is None or match[1]:
            tell(line if match is None else match[1])
        if match is not None:
            break
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    return code


def _lines(stream: IO[bytes]) -> Iterator[str]:
    reader = LineReader()
    while data := os.read(stream.fileno(), _CHUNK):
        yield from reader.feed(data)
    yield from reader.feed(b"", final=True)


def _last(text: str) -> str:
    """Its last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason")
