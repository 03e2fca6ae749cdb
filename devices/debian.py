"""Debian packages of any architecture, unpacked into a folder; nothing is installed.

An ordinary user may do this. apt gets a state of its own, which goes away again: the machine's
sources and proxies hold, its package lists and its dpkg are not touched.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgeferry.errors import DeviceError

SOURCES = "EDGEFERRY_APT_SOURCES"
"""Environment variable that names a list of apt sources to use in place of the machine's."""

_CONFIGURATION = """\
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "{architecture}";
APT::Architectures:: "{architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{state}";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Cache::archives "{state}/archives";
"""
"""Run by root, apt would fetch as a user of its own, who may not write to this folder."""


def unpack_packages(packages: Sequence[str], architecture: str, folder: Path) -> None:
    """Unpack packages and all that they depend on, the newest that apt's sources have.

    apt's own resolver says what that is, since names change from release to release.

    Args:
        packages: Their names.
        architecture: Debian's name of it, e.g. ``arm64``.
        folder: Where to; it exists.

    Raises:
        DeviceError: If apt is missing or cannot get them.
    """
    with tempfile.TemporaryDirectory(prefix="edgeferry-apt-") as state:
        configuration = _private_state(Path(state), architecture)
        _run(["apt-get", "-c", configuration, "update"])
        _run(["apt-get", "-c", configuration, "install", "--download-only", "-y", *packages])
        for package in sorted(Path(state, "archives").glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(folder)])


def host_architecture() -> str:
    """Debian's name of this machine's architecture.

    Raises:
        DeviceError: If dpkg is missing.
    """
    return _run(["dpkg", "--print-architecture"]).strip()


def release() -> str:
    """What the packages come from: the list of sources, or the system's release."""
    if named := os.environ.get(SOURCES):
        return _named_sources(named).read_text(encoding="utf-8")
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"{system['ID']} {system.get('VERSION_ID', '')}"


def _private_state(state: Path, architecture: str) -> str:
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    text = _CONFIGURATION.format(architecture=architecture, state=state)
    if named := os.environ.get(SOURCES):
        text += f'Dir::Etc::sourcelist "{_named_sources(named)}";\nDir::Etc::sourceparts "-";\n'
    configuration = state / "apt.conf"
    configuration.write_text(text, encoding="utf-8")
    return str(configuration)


def _named_sources(named: str) -> Path:
    path = Path(named).absolute()
    if not path.is_file():
        raise DeviceError(f"there is no list of apt sources {named}", f"{SOURCES} names it")
    return path


def _run(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        raise DeviceError(
            f"{command[0]} is missing, which unpacks the emulated device's system",
            "use a machine with Debian or one derived from it",
        )
    english = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=english
    )
    if done.returncode:
        raise DeviceError(
            f"{command[0]} cannot get the emulated device's system: {_complaint(done.stderr)}",
            f"check the network and apt's sources; {SOURCES} can name a list of Debian's",
        )
    return done.stdout


def _complaint(stderr: str) -> str:
    """The last line that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E:")]
    return [*lines, *errors][-1] if lines else "it says no more"
