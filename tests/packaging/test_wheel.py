"""What the distributions hold."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
METADATA = f"edgeferry-{PROJECT['version']}.dist-info"
ROOMS = {"calibration": "calibration", "devices": "devices", "exporters": "exporters"}
ROOMS |= {"runtimes": "runtimes", "core": ""}


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_one_package_and_nothing_beside_it(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"edgeferry", METADATA}


def test_every_module_of_every_room_ships(names: set[str]) -> None:
    for room, package in ROOMS.items():
        for module in (ROOT / room).rglob("*.py"):
            inside = Path("edgeferry", package, module.relative_to(ROOT / room))
            assert inside.as_posix() in names


def test_no_test_ships(names: set[str]) -> None:
    assert [name for name in names if "test" in name] == []


@pytest.mark.parametrize(
    "name",
    [
        "edgeferry/py.typed",
        "edgeferry/app/results.schema.json",
        f"{METADATA}/licenses/LICENSE",
    ],
)
def test_what_is_no_module_ships_too(names: set[str], name: str) -> None:
    assert name in names


def test_it_is_pure_python_and_small(wheel: Path, names: set[str]) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    templates = {".j2", ".css", ".js"}
    known = {".py", ".json", ".toml", ".typed", ".txt", ""}
    assert {Path(name).suffix for name in names} <= known | templates
    assert wheel.stat().st_size < 1_000_000


def test_a_wheel_built_from_the_source_distribution_is_the_same(
    names: set[str], tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    copy = tmp_path / "copy"
    copy.mkdir()
    code = "import build_wheel, pathlib, sys; build_wheel.copy_sources(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(copy)], check=True, cwd=ROOT / "scripts")
    subprocess.run([*build, "--sdist", str(copy)], check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("edgeferry-*/")
    subprocess.run([*build, "--wheel", str(unpacked)], check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as archive:
        assert set(archive.namelist()) == names
