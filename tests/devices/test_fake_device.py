"""The device for tests fails as it is told to, and only then."""

import sys

import pytest

from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.errors import DeviceError, DeviceLostError

COUNT = Command([sys.executable, "-c", "for i in range(3): print(i, flush=True)"])
SETTINGS = DeviceSettings("fake")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(600))
    return path


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_it_is_lost_after_so_many_lines(lines):
    heard = []
    lost = pytest.raises(DeviceLostError, match="fake was lost")
    with FakeDevice(SETTINGS, lose_after_lines=lines) as device, lost:
        device.run(COUNT, heard.append)
    assert heard == [str(i) for i in range(lines)]


def test_the_lines_of_each_command_count_anew():
    with FakeDevice(SETTINGS, lose_after_lines=4) as device:
        assert [device.run(COUNT).stdout for _ in range(2)] == ["0\n1\n2\n"] * 2


def test_lost_is_lost(file):
    with FakeDevice(SETTINGS, lose_after_lines=1) as device:
        device.push(file, "there")
        with pytest.raises(DeviceLostError):
            device.run(COUNT)
        for use in (
            lambda: device.run(COUNT),
            lambda: device.push(file, "file"),
            lambda: device.pull("there", file.with_name("back")),
            lambda: device.digest("there"),
        ):
            with pytest.raises(DeviceLostError):
                use()


def test_it_may_be_lost_from_the_start():
    heard = []
    with FakeDevice(SETTINGS, lose_after_lines=0) as device, pytest.raises(DeviceLostError):
        device.run(COUNT, heard.append)
    assert heard == []


def test_what_does_not_fit_is_refused_with_what_is_free_and_needed(file):
    file.write_bytes(bytes(600_000))
    with FakeDevice(SETTINGS, space=1_000_000) as device:
        device.push(file, "first")
        with pytest.raises(DeviceError, match=r"second on fake: it needs 0\.6 MB, 0\.4 MB are"):
            device.push(file, "second")
        assert device.digest("second") is None


def test_what_fits_exactly_fits(file):
    with FakeDevice(SETTINGS, space=1200) as device:
        device.push(file, "first")
        device.push(file, "second")
        assert device.digest("second") == device.digest("first")
