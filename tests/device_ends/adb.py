"""Fixtures of the adb transport; a test module names this one in ``pytest_plugins``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_ends.adbd import Phone
from device_ends.processes import wait_until

PROPERTIES = {
    "ro.product.manufacturer": "Rok",
    "ro.product.model": "Rok 7",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.soc.model": "RK42",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
}


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of an adb server of the tests' own; the user's is never asked."""
    program = shutil.which("adb")
    if program is None:
        pytest.skip("the program adb is not installed")
    home = tmp_path_factory.mktemp("adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A port below the first of the emulators keeps it from looking for the user's.
    own = {"HOME": str(home), "TMPDIR": str(home), "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553"}
    with (home / "log").open("wb") as log, pytest.MonkeyPatch.context() as patch:
        server = subprocess.Popen(
            [program, "-P", str(port), "nodaemon", "server"],
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: _listens(port))
            patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
            yield port
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def phone(adb_server: int, tmp_path: Path) -> Iterator[Phone]:
    """A phone at ``adb://{phone.serial}``."""
    with Phone(tmp_path / "phone", PROPERTIES) as phone:
        yield phone


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
