"""Wheels for a device's Python, fetched and unpacked by this machine's pip."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeferry.devices.cache import made_once
from edgeferry.errors import DeviceError, MissingDependencyError, OutputError

PIP = "pip==26.3"
"""The pip that installs on a device which has none."""

_MISSING = re.compile(r"No matching distribution found for (.+)")
_NO_NETWORK = re.compile("connection broken by|Could not fetch URL|ReadTimeoutError")


@dataclass(frozen=True)
class WheelTarget:
    """What a device can install.

    Attributes:
        python: Version of its Python, e.g. ``3.11``.
        platforms: Every platform tag that suits it, e.g. ``manylinux2014_aarch64``
            (https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/).
    """

    python: str
    platforms: tuple[str, ...]

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platforms[0]}"

    def options(self) -> list[str]:
        """What pip is told of it."""
        platforms = [f"--platform={platform}" for platform in self.platforms]
        return ["--implementation=cp", f"--python-version={self.python}", *platforms]


def fetch_wheels(requirements: Sequence[str], target: WheelTarget, folder: Path) -> list[Path]:
    """Fetch the wheels of pinned requirements; what they depend on has to be among them.

    Args:
        requirements: E.g. ``numpy==2.4.6``.
        target: What they have to suit.
        folder: Where to; made if missing.

    Returns:
        The files, sorted.

    Raises:
        DeviceError: If one has no wheel for the target, or the network is not there.
        MissingDependencyError: If this Python has no pip.
    """
    return _fetch(requirements, target.options(), f"for {target}", folder)


def fetch_pip(folder: Path) -> Path:
    """Fetch pip's own wheel; ``python3 THE.whl/pip install ...`` runs it as it is.

    Args:
        folder: Where to; made if missing.

    Raises:
        DeviceError: If the network is not there.
        MissingDependencyError: If this Python has no pip.
    """
    (wheel,) = _fetch([PIP], [], "for any Python", folder)
    return wheel


def install_wheels(wheels: Sequence[Path], target: WheelTarget, site: Path) -> None:
    """Install wheels into a folder, for a Python that need not be this one.

    Args:
        wheels: With all that they depend on.
        target: What they have to suit.
        site: The folder, for ``PYTHONPATH``; it appears whole or not at all.

    Raises:
        DeviceError: If one does not suit the target.
        MissingDependencyError: If this Python has no pip.
        OutputError: If the folder is there already.
    """
    if site.exists():
        raise OutputError(f"{site} is there already", "remove it, or name another folder")
    files = [str(wheel) for wheel in wheels]
    made_once(site, lambda fresh: _install(files, target, fresh))


def _install(files: Sequence[str], target: WheelTarget, folder: Path) -> None:
    # Compiling would be for this machine's Python.
    options = ["--no-index", "--no-compile", f"--target={folder}", *target.options()]
    done = _pip("install", *options, *files)
    if done.returncode:
        raise DeviceError(f"the wheels do not install for {target}: {_last_line(done.stderr)}")


def _fetch(
    requirements: Sequence[str], options: Sequence[str], purpose: str, folder: Path
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        done = _pip("download", "--retries=2", f"--dest={scratch}", *options, *requirements)
        if done.returncode:
            raise _fetch_error(done.stderr, purpose)
        fetched = sorted(Path(scratch).iterdir())
        return [wheel.replace(folder / wheel.name) for wheel in fetched]


def _fetch_error(stderr: str, purpose: str) -> DeviceError:
    if _NO_NETWORK.search(stderr):
        return DeviceError(
            f"cannot fetch wheels {purpose}: the package index does not answer",
            "check the network, and the index that pip is set to",
        )
    if missing := _MISSING.search(stderr):
        return DeviceError(
            f"there is no wheel of {missing[1]} {purpose}",
            "choose another version, or another runtime for the device",
        )
    return DeviceError(f"cannot fetch wheels {purpose}: {_last_line(stderr)}")


def _pip(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("pip") is None:
        raise MissingDependencyError(
            f"{sys.executable} has no pip, which fetches wheels", "python -m ensurepip brings it"
        )
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    wheels_alone = ["--no-deps", "--only-binary=:all:"]
    line = [sys.executable, "-m", "pip", command, *quiet, *wheels_alone, *arguments]
    return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def _last_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else "pip says no more"
