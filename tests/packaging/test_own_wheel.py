"""edgeferry's own wheel, which is made again from the package as installed, is the one built."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from edgeferry.devices.own_wheel import write_own_wheel

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
METADATA = f"edgeferry-{VERSION}.dist-info"
ASKED = """
import edgeferry
from edgeferry.devices.profile import profiles
print(edgeferry.__file__, edgeferry.__version__, len(profiles()))
"""
WRITTEN = """
import pathlib, sys
from edgeferry.devices.own_wheel import write_own_wheel
print(write_own_wheel(pathlib.Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own_wheel(tmp_path_factory.mktemp("own"))


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def _told(path: Path, code: str, *arguments: object) -> str:
    """What a Python prints that sees the edgeferry at a path, and no other."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_named_as_the_built_one(own: Path, wheel: Path) -> None:
    assert own.name == wheel.name


def test_modules_and_data_are_those_of_the_built_one(own: Path, wheel: Path) -> None:
    ours, built = _contents(own), _contents(wheel)
    package = {name for name in built if name.startswith("edgeferry/")}
    assert {name for name in ours if name.startswith("edgeferry/")} == package
    assert [name for name in sorted(package) if ours[name] != built[name]] == []
    assert {Path(name).suffix for name in package} >= {".py", ".toml", ".json", ".typed"}


def test_the_metadata_is_what_pip_needs(own: Path, wheel: Path) -> None:
    ours, built = _contents(own), _contents(wheel)
    assert {name for name in ours if not name.startswith("edgeferry/")} <= set(built)
    for name in ("entry_points.txt", "licenses/LICENSE"):
        assert ours[f"{METADATA}/{name}"] == built[f"{METADATA}/{name}"]
    told = email.message_from_bytes(ours[f"{METADATA}/METADATA"])
    assert (told["Name"], told["Version"]) == ("edgeferry", VERSION)


def test_the_record_is_right_for_every_file(own: Path) -> None:
    contents = _contents(own)
    record = f"{METADATA}/RECORD"
    listed = {row[0]: row[1:] for row in csv.reader(contents[record].decode().splitlines())}
    assert listed.pop(record) == ["", ""]
    assert listed == {
        name: [f"sha256={_digest(content)}", str(len(content))]
        for name, content in contents.items()
        if name != record
    }


def test_it_has_the_same_bytes_every_time_and_everywhere(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = own.read_bytes()
    monkeypatch.chdir(tmp_path)
    assert write_own_wheel(Path()).read_bytes() == expected
    monkeypatch.chdir("/")
    again = tmp_path / "again"
    again.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", WRITTEN, again]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert (again / own.name).read_bytes() == expected


@pytest.mark.parametrize("bare_python", [""], indirect=True)
def test_pip_installs_it(bare_python: str, own: Path, tmp_path: Path) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    install = [bare_python, "-m", "pip", "install", *quiet, "--target", str(tmp_path / "site")]
    subprocess.run([*install, str(own)], check=True)
    where, version, count = _told(tmp_path / "site", ASKED).split()
    assert Path(where).is_relative_to(tmp_path)
    assert (version, int(count) >= 8) == (VERSION, True)
    assert (tmp_path / "site/bin/edgeferry").exists()


def test_it_works_straight_from_the_file(own: Path) -> None:
    where, version, count = _told(own, ASKED).split()
    assert where.startswith(str(own))
    assert (version, int(count) >= 8) == (VERSION, True)


def test_its_copy_of_itself_is_the_same(own: Path, tmp_path: Path) -> None:
    copy = _told(own, WRITTEN, tmp_path)
    assert Path(copy).read_bytes() == own.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
