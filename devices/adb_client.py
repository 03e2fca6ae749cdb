"""The program ``adb``, as the client of one Android device."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import IO

from edgeferry.errors import DeviceError, DeviceLostError, MissingDependencyError

ANSWER = 15
"""Seconds that adb, or a device, has for a short answer; adb itself waits 10 to connect."""
_READY = "device"
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


class AdbClient:
    """Runs ``adb`` for one device, and knows its processes.

    The program is the one on ``PATH``, or what the variable ``ADB`` names. Its server belongs to
    the user: adb starts it if there is none, and it stays.

    Args:
        name: What the user calls the device.
        serial: What adb calls it; ``HOST:PORT`` is connected to; empty for the only one there is.
    """

    def __init__(self, name: str, serial: str) -> None:
        self._name = name
        self._serial = serial
        self._running: set[subprocess.Popen[bytes]] = set()
        self.closed = False

    def connect(self) -> None:
        """Make sure that the device can be used.

        Raises:
            DeviceError: If it cannot.
            MissingDependencyError: If there is no adb.
        """
        if ":" in self._serial and self._state() != _READY:
            # A broken connection stays with adb, as offline, until it is told to let go.
            self._ask("disconnect", self._serial)
            told = self._ask("connect", self._serial)
            if "connected to" not in told:  # the exit code is 0 either way
                raise DeviceError(
                    f"{self._name} cannot be reached: {told}",
                    "Is it on, in this network, and does it listen (adb tcpip 5555, by USB)?",
                )
        state = self._state()
        if state != _READY:
            raise self._unusable(state)

    def answers(self) -> bool:
        """Whether the device's shell answers now."""
        with contextlib.suppress(DeviceError):
            return self._ask(*self._selected, "shell", "echo here") == "here"
        return False

    @contextlib.contextmanager
    def started(
        self, *arguments: str, stderr: IO[bytes] | int = subprocess.STDOUT
    ) -> Iterator[subprocess.Popen[bytes]]:
        """An adb process for the device, gone when the block ends.

        Args:
            arguments: What adb is to do with it.
            stderr: As ``subprocess.Popen`` takes it.
        """
        with self._process([*self._selected, *arguments], stderr) as process:
            yield process

    def close(self) -> None:
        """End every process, also those that are about to start."""
        self.closed = True
        for process in tuple(self._running):
            process.kill()

    @property
    def _selected(self) -> list[str]:
        return ["-s", self._serial] if self._serial else []

    def _state(self) -> str:
        return self._ask(*self._selected, "get-state")

    def _unusable(self, told: str) -> DeviceError:
        for sign, (problem, remedy) in _STATES.items():
            if sign in told:
                return DeviceError(problem.format(name=self._name, serial=self._serial), remedy)
        return DeviceError(f"{self._name} cannot be used: adb says {told!r}")

    def _ask(self, *arguments: str) -> str:
        """What adb answers, without what it tells of its server."""
        with self._process(arguments, subprocess.STDOUT) as process:
            try:
                output, _ = process.communicate(timeout=ANSWER)
            except subprocess.TimeoutExpired:
                raise DeviceError(f"adb {arguments[-1]} gave no answer for {self._name}") from None
        if self.closed:
            raise DeviceLostError(f"{self._name} was closed")
        lines = output.decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("* ")).strip()

    @contextlib.contextmanager
    def _process(
        self, arguments: Sequence[str], stderr: IO[bytes] | int
    ) -> Iterator[subprocess.Popen[bytes]]:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [_program(), *arguments], stdin=pipe, stdout=pipe, stderr=stderr
        ) as process:
            self._running.add(process)
            try:
                if self.closed:
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
