"""Wheels for another machine's Python, from an index of the tests' own."""

import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgeferry.devices.wheels import WheelTarget, fetch_pip, fetch_wheels, install_wheels
from edgeferry.errors import DeviceError, MissingDependencyError, OutputError

BOARD = WheelTarget("3.11", ("manylinux_2_36_aarch64", "manylinux_2_28_aarch64"))
ON_BOARD = "cp311-cp311-manylinux_2_28_aarch64"


def made_wheel(folder: Path, name: str, tag: str) -> Path:
    """A wheel of one module that names the tag."""
    path = folder / f"{name}-1.0-{tag}.whl"
    metadata = f"{name}-1.0.dist-info"
    contents = {
        f"{name}.py": f"TAG = {tag!r}\n",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{metadata}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
        f"{metadata}/RECORD": "".join(
            f"{metadata}/{each},,\n" for each in ("METADATA", "WHEEL", "RECORD")
        )
        + f"{name}.py,,\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in contents.items():
            archive.writestr(inside, text)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The only folder that pip finds packages in."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_the_wheels_that_suit_the_device_are_fetched(index, tmp_path):
    for tag in (
        ON_BOARD,
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp313-cp313-manylinux_2_28_aarch64",
    ):
        made_wheel(index, "zebra", tag)
    made_wheel(index, "ant", "py3-none-any")
    wheels = fetch_wheels(["zebra==1.0", "ant==1.0"], BOARD, tmp_path / "wheels")
    assert [each.name for each in wheels] == [
        "ant-1.0-py3-none-any.whl",
        f"zebra-1.0-{ON_BOARD}.whl",
    ]
    assert sorted((tmp_path / "wheels").iterdir()) == wheels


@pytest.mark.parametrize(
    "other", ["zebra-1.0-cp311-cp311-manylinux_2_39_aarch64.whl", "zebra-1.0.tar.gz"]
)
def test_what_has_no_wheel_for_the_device_is_named(index, tmp_path, other):
    made_wheel(index, "ant", "py3-none-any")
    (index / other).touch()
    with pytest.raises(DeviceError, match=r"no wheel of zebra==1\.0 for Python 3\.11 on .*aarch64"):
        fetch_wheels(["ant==1.0", "zebra==1.0"], BOARD, tmp_path / "wheels")
    assert list((tmp_path / "wheels").iterdir()) == []


def test_an_index_that_does_not_answer_is_told_from_a_missing_wheel(index, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DeviceError, match="index does not answer"):
        fetch_wheels(["zebra==1.0"], BOARD, tmp_path / "wheels")


def test_a_python_without_pip_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(MissingDependencyError, match="ensurepip"):
        fetch_wheels(["zebra==1.0"], BOARD, tmp_path)


def test_wheels_of_another_machine_are_installed(index, tmp_path):
    wheels = [made_wheel(index, "zebra", ON_BOARD), made_wheel(index, "ant", "py3-none-any")]
    install_wheels(wheels, BOARD, tmp_path / "site")
    assert ON_BOARD in (tmp_path / "site/zebra.py").read_text()
    assert (tmp_path / "site/ant.py").is_file()


def test_a_folder_of_packages_appears_whole_or_not_at_all(index, tmp_path):
    wheels = [
        made_wheel(index, "ant", "py3-none-any"),
        made_wheel(index, "zebra", "cp311-cp311-manylinux_2_28_x86_64"),
    ]
    with pytest.raises(DeviceError, match=r"zebra.*not a supported wheel"):
        install_wheels(wheels, BOARD, tmp_path / "place/site")
    assert list((tmp_path / "place").iterdir()) == []


def test_packages_are_not_mixed_into_a_folder_that_is_there(tmp_path):
    with pytest.raises(OutputError, match="there already"):
        install_wheels([], BOARD, tmp_path)


@pytest.mark.slow
def test_the_wheel_of_pip_runs_as_it_is(tmp_path):
    wheel = fetch_pip(tmp_path)
    done = subprocess.run(
        [sys.executable, "-S", str(wheel / "pip"), "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith(f"pip {wheel.name.split('-')[1]} from {wheel}"), done.stderr
