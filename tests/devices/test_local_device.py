"""What is particular to this machine as a device."""

import sys

import pytest

from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.local_device import LocalDevice
from edgeferry.errors import DeviceError, DeviceLostError

HELLO = Command([sys.executable, "-c", "print('hello')"])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("content")
    return path


def test_placed_files_stay_where_they_are(file):
    with LocalDevice(DeviceSettings("here")) as device:
        assert device.place([file]) == [str(file)]


def test_a_folder_of_its_own_goes_when_it_is_closed(file, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with LocalDevice(DeviceSettings("here")) as device:
        device.push(file, "pushed")
        assert len(list(tmp_path.rglob("pushed"))) == 1
    assert not list(tmp_path.rglob("pushed"))


def test_a_named_folder_stays(file, tmp_path):
    with LocalDevice(DeviceSettings("here", folder=str(tmp_path / "named"))) as device:
        device.push(file, "pushed")
    assert (tmp_path / "named/pushed").read_text() == "content"


def test_nothing_runs_once_it_is_closed(tmp_path):
    device = LocalDevice(DeviceSettings("here", folder=str(tmp_path / "named")))
    device.close()
    with pytest.raises(DeviceLostError, match="here is closed"):
        device.run(HELLO)
    assert not (tmp_path / "named").exists()


def test_a_program_that_is_not_there_is_told():
    told = pytest.raises(DeviceError, match="cannot run no-such-program on here: No such file")
    with LocalDevice(DeviceSettings("here")) as device, told:
        device.run(Command(["no-such-program"]))


def test_a_folder_that_cannot_be_made_is_told(file):
    with LocalDevice(DeviceSettings("here", folder=str(file / "folder"))) as device:
        with pytest.raises(DeviceError, match="on here: Not a directory"):
            device.run(HELLO)
        with pytest.raises(DeviceError, match="cannot send pushed to here"):
            device.push(file, "pushed")
