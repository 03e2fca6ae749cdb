"""The one contract that every device is driven through."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from edgeferry.closing import Closing
from edgeferry.errors import DeviceError
from edgeferry.files import sha256_of
from edgeferry.progress import logger

_log = logger(__name__)
Listener = Callable[[str], None]
"""Called with each line that a command prints, without its end, as soon as it is there."""


@dataclass(frozen=True)
class DeviceSettings:
    """How a device is reached, and what its owner says of it.

    Attributes:
        name: What the user calls it.
        address: ``local``, ``ssh://user@host:port``, ``adb://serial``, ``emulated://profile``.
        profile: Name of the profile it is of; None where that is not said.
        python: The Python with the engines on it; None is the transport's usual one.
        folder: Where its files go; None is the transport's usual place.
        benchmark_model: TFLite's ``benchmark_model`` for it, a file of this machine: for
            phones, which have no Python.
    """

    name: str
    address: str = "local"
    profile: str | None = None
    python: str | None = None
    folder: str | None = None
    benchmark_model: Path | None = None


@dataclass(frozen=True)
class Completed:
    """How a command ended.

    Attributes:
        code: Its exit code; 128 and the signal for one that a signal ended.
        stdout: What it printed; empty where a listener took the lines.
        stderr: What it complained of.
    """

    code: int
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Command:
    """A program to run on a device.

    Attributes:
        arguments: The program and its arguments; no shell reads them.
        time_limit: Seconds after which the device ends it.
        environment: Variables to set, beside those it has.
    """

    arguments: Sequence[str]
    time_limit: float = 60
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = shlex.join(self.arguments)
        return text if len(text) <= 60 else f"{text[:57]}..."


class Device(Closing):
    """A machine that runs commands and holds files, in one folder of its own.

    Commands run in that folder, so the name of a pushed file is also its path for them. The
    public methods do the checking; a transport fills in ``_run``, ``_push``, ``_pull``,
    ``digest`` and ``close``. Used by one thread; ``close`` may come from another and ends what
    runs.

    Args:
        settings: How it is reached.
    """

    transport: ClassVar[str]
    """The scheme of its addresses."""
    emulated: ClassVar[bool] = False
    """Whether its latencies say nothing of a real device."""
    starts_children: ClassVar[bool] = True
    """Whether a program on it can start others."""
    usual_python: ClassVar[str] = "python3"

    def __init__(self, settings: DeviceSettings) -> None:
        self.settings = settings

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.settings.name

    @property
    def has_python(self) -> bool:
        """Whether there is a Python on it that can be used; by what is known beforehand."""
        return True

    @property
    def python(self) -> str:
        """The Python that runs the agent."""
        return self.settings.python or self.usual_python

    def run(self, command: Command, listen: Listener | None = None) -> Completed:
        """Run a command and wait until it ends.

        Args:
            command: What to run.
            listen: Takes the lines of its standard output as they come.

        Returns:
            How it ended, whatever its exit code.

        Raises:
            TimeLimitError: If it took too long; it was ended on the device.
            DeviceLostError: If the device was lost meanwhile; it ends the command by itself.
            DeviceError: If the device cannot be reached.
        """
        _log.debug("%s runs %s", self.name, shlex.join(command.arguments))
        ended = self._run(command, listen)
        _log.debug("%s: exit code %d", self.name, ended.code)
        return ended

    def push(self, source: Path, name: str) -> None:
        """Copy a file to the device; it appears whole or not at all.

        Args:
            source: A file of this machine.
            name: Relative path in the device's folder, with ``/``.

        Raises:
            DeviceError: If it cannot be written there, e.g. for want of space, or the device
                is lost.
        """
        if not source.is_file():
            raise DeviceError(f"there is no file {source} to send to {self.name}")
        _log.debug("%s gets %s as %s", self.name, source, name)
        self._push(source, _inside(name))

    def pull(self, name: str, destination: Path) -> None:
        """Copy a file from the device; it appears whole or not at all.

        Args:
            name: Relative path in the device's folder, with ``/``.
            destination: Where to, on this machine.

        Raises:
            DeviceError: If it is not there, or the device is lost.
        """
        _log.debug("%s gives %s", self.name, name)
        self._pull(_inside(name), destination)

    def place(self, files: Sequence[Path]) -> list[str]:
        """Make files available in one folder of the device, sending what is not yet there.

        A file is known by its SHA-256, so it is sent once, and what arrived is checked.

        Args:
            files: Files of this machine that belong together; their names stay.

        Returns:
            Their paths for commands, in order.

        Raises:
            DeviceError: If one cannot be sent.
        """
        digests = [sha256_of(file) for file in files]
        names = [f"files/{digests[0][:16]}/{file.name}" for file in files]
        for file, name, digest in zip(files, names, digests, strict=True):
            if self.digest(name) != digest:
                self.push(file, name)
                if self.digest(name) != digest:
                    raise DeviceError(f"{file.name} arrived damaged on {self.name}")
        return names

    def facts(self) -> dict[str, Any]:
        """Facts of its machine, as ``machine_facts`` names them; None where it does not tell.

        Raises:
            DeviceError: If it cannot be reached, or has no usable Python where it should.
        """
        from edgeferry.devices.client import client_for  # which in turn knows devices

        with closing(client_for(self)) as client:
            return client.facts()

    def install(self, requirements: Sequence[str]) -> None:
        """Install packages for the device's Python, where the transport can.

        Args:
            requirements: Pinned, with everything they need.

        Raises:
            DeviceError: If it cannot, or one cannot be had.
        """
        raise DeviceError(f"edgeferry installs nothing on {self.name}", "Install a bundle there")

    @abstractmethod
    def digest(self, name: str) -> str | None:
        """SHA-256 of a file in the device's folder, hexadecimal; None where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the device, ending what still runs for it; may be called twice."""

    @abstractmethod
    def _run(self, command: Command, listen: Listener | None) -> Completed: ...

    @abstractmethod
    def _push(self, source: Path, name: str) -> None: ...

    @abstractmethod
    def _pull(self, name: str, destination: Path) -> None: ...


def _inside(name: str) -> str:
    """A name that stays within the device's folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DeviceError(f"{name!r} is not a path inside the device's folder")
    return str(path)
