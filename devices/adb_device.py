"""An Android phone, through ``adb``."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import tempfile
import threading
import time
from pathlib import Path, PurePosixPath
from typing import ClassVar

from edgeferry.devices.adb_client import ANSWER, AdbClient
from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.guard import GRACE, NO_FOLDER, TIME_UP, guarded
from edgeferry.devices.lines import Heard, chunks_of, end_of, lines_of
from edgeferry.errors import DeviceError, DeviceLostError, TimeLimitError
from edgeferry.files import atomic_path

_FOLDER = "/data/local/tmp/edgeferry"
_MARGIN = GRACE + 4
"""Seconds that a device has, once a command's time is up, to end it and say so."""


class AdbDevice(Device):
    """Runs commands in a phone's shell.

    Args:
        settings: The address is ``adb://SERIAL``, ``adb://HOST:PORT`` for a phone that listens on
            the network, or ``adb://`` for the only one there is.
    """

    transport: ClassVar[str] = "adb"

    def __init__(self, settings: DeviceSettings) -> None:
        super().__init__(settings)
        self._adb = AdbClient(self.name, settings.address.removeprefix("adb://"))
        self._folder = settings.folder or _FOLDER
        self._connected = False

    @property
    def has_python(self) -> bool:
        """A phone has none, unless its owner names one."""
        return self.settings.python is not None

    def digest(self, name: str) -> str | None:
        script = '[ ! -f "$1" ] || sha256sum <"$1"'
        command = Command(["sh", "-c", script, "sh", name], time_limit=30)
        told = self._do(command, f"{name} cannot be read on {self.name}").split()
        return told[0] if told else None

    def close(self) -> None:
        self._adb.close()

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        self._connect()
        mark = secrets.token_hex(8)
        line = guarded(command, self._folder, f"echo {mark} $code,")
        heard = Heard()
        began = time.monotonic()
        with tempfile.TemporaryFile() as complaints:
            with self._adb.started("shell", line, stderr=complaints) as process:
                code = _followed(process, mark, listen or heard.append, command.time_limit)
            took = time.monotonic() - began
            stderr = end_of(complaints)
        if code is None and process.returncode == NO_FOLDER:
            raise DeviceError(f"{self.name} cannot use the folder {self._folder}: {_last(stderr)}")
        if code is None:
            raise self._lost(f"{command} ran on it", took > command.time_limit + GRACE)
        if code in TIME_UP and took >= command.time_limit:
            raise TimeLimitError(
                f"{command} took more than {command.time_limit:g} s on {self.name}"
            )
        return Completed(code, heard.text(), stderr)

    def _push(self, source: Path, name: str) -> None:
        temporary = f"{name}.{secrets.token_hex(4)}.part"
        problem = f"{name} cannot be written on {self.name}"
        self._do(_short("mkdir", "-p", str(PurePosixPath(name).parent)), problem)
        try:
            told = self._copy("push", str(source.absolute()), self._path(temporary))
            if told:
                raise self._refused(problem, told)
            self._do(_short("mv", "-f", temporary, name), problem)
        except DeviceLostError:
            raise
        except DeviceError:
            with contextlib.suppress(DeviceError):
                self._do(_short("rm", "-f", temporary), problem)
            raise

    def _pull(self, name: str, destination: Path) -> None:
        with atomic_path(destination) as temporary:
            told = self._copy("pull", self._path(name), str(temporary.absolute()))
            if re.search("does not exist|No such file", told):
                raise DeviceError(f"there is no file {name} on {self.name}")
            if told:
                raise DeviceError(f"{name} cannot be fetched from {self.name}: {_last(told)}")

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _do(self, command: Command, problem: str) -> str:
        """What a command printed that has to go well."""
        done = self._run(command, None)
        if done.code != 0:
            raise self._refused(problem, done.stderr)
        return done.stdout

    def _copy(self, *arguments: str) -> str:
        """Have adb copy a file; what it complains of, empty if nothing."""
        self._connect()
        meanwhile = "a file was copied"
        with self._adb.started(*arguments) as process:
            while True:
                try:
                    output, _ = process.communicate(timeout=ANSWER)
                    break
                except subprocess.TimeoutExpired:
                    if not self._adb.answers():
                        raise self._lost(meanwhile, frozen=True) from None
        if process.returncode == 0:
            return ""
        if not self._adb.answers():
            raise self._lost(meanwhile)
        lines = output.decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if "error" in line) or "adb does not say why"

    def _connect(self) -> None:
        if not self._connected:
            self._adb.connect()
            self._connected = True

    def _lost(self, meanwhile: str, frozen: bool = False) -> DeviceLostError:
        self._connected = False
        if self._adb.closed:
            return DeviceLostError(f"{self.name} was closed while {meanwhile}")
        how = "stopped answering" if frozen else "was lost"
        return DeviceLostError(
            f"{self.name} {how} while {meanwhile}", "adb devices tells whether it is back."
        )

    def _refused(self, problem: str, told: str) -> DeviceError:
        if "No space left" not in told:
            return DeviceError(f"{problem}: {_last(told)}")
        left = _last(self._run(_short("df", "-h", "."), None).stdout)
        return DeviceError(f"{problem}: no space left there ({left})", "Delete something on it.")


def _short(program: str, option: str, *names: str) -> Command:
    """A command that a device has done at once, unless it hangs."""
    return Command([program, option, "--", *names], time_limit=10)


def _followed(
    process: subprocess.Popen[bytes], mark: str, tell: Listener, time_limit: float
) -> int | None:
    """Hand on its lines up to the mark; the exit code behind that, None if it never came."""
    # A phone that freezes ends nothing by itself.
    timer = threading.Timer(time_limit + _MARGIN, process.kill)
    timer.start()
    try:
        code = _listen(process, mark, tell)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return code
    finally:
        timer.cancel()


def _listen(process: subprocess.Popen[bytes], mark: str, tell: Listener) -> int | None:
    assert process.stdout is not None
    ending = re.compile(rf"(.*){mark} (\d{{1,3}}),")
    for line in lines_of(chunks_of(process.stdout)):
        match = ending.fullmatch(line)
        if match is None:
            tell(line)
            continue
        if match[1]:
            tell(match[1])
        return int(match[2])
    return None


def _last(text: str) -> str:
    """Its last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason")
