"""Fixtures of the emulated transport; a test module names this one in ``pytest_plugins``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.emulated_device import EmulatedDevice

CACHE = Path(__file__).resolve().parents[2] / ".cache"
PROGRAMS = ("apt-get", "dpkg")


@pytest.fixture
def emulation(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, kept between runs, where emulated systems and their wheels are."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))
    return CACHE / "edgeferry" / "emulated"


@pytest.fixture
def emulated(emulation: Path, tmp_path: Path) -> Iterator[Callable[[str], EmulatedDevice]]:
    """Gives the emulated device of a profile; its folder is ``tmp_path / profile``."""
    opened = []

    def open_emulated(profile: str) -> EmulatedDevice:
        settings = DeviceSettings(profile, f"emulated://{profile}", folder=str(tmp_path / profile))
        opened.append(EmulatedDevice(settings))
        return opened[-1]

    yield open_emulated
    for device in opened:
        device.close()


@pytest.fixture
def pi4(emulated: Callable[[str], EmulatedDevice]) -> EmulatedDevice:
    """An emulated Raspberry Pi 4."""
    return emulated("raspberry-pi-4")
