"""Fixtures of the packaging tests: the built wheel, and environments that hold little else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTRA_PYTHON = {"tflite-runtime": "3.11"}
"""The Python an extra needs, where it is not any."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout as it is now."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, str(ROOT / "scripts/build_wheel.py"), str(folder)])
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package as it installs, for the import path."""
    site = tmp_path_factory.mktemp("site")
    pip(sys.executable, "--no-deps", "--target", str(site), str(wheel))
    return site


@pytest.fixture(scope="session")
def bare_python(request: pytest.FixtureRequest, wheel: Path) -> str:
    """Python of an environment with the wheel and one extra (the parameter; none if empty).

    The environments are kept between runs; only the wheel is installed anew. Tests that run at the
    same time have environments of their own.
    """
    extra: str = request.param
    python = _python_for(extra)
    name = extra or "base"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = ROOT / ".cache" / "bare" / worker / f"{name}-{_fingerprint(python)}"
    inside = str(folder / "bin" / "python")
    if not (folder / "complete").exists():
        for outdated in folder.parent.glob(f"{name}-{'[0-9a-f]' * 12}"):
            shutil.rmtree(outdated)
        run([python, "-m", "venv", "--clear", str(folder)])
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        pip(inside, "--constraint", str(_constraints(folder, extra)), wanted)
        (folder / "complete").touch()
    pip(inside, "--no-deps", "--force-reinstall", str(wheel))
    return inside


def run(command: list[str], **options: object) -> str:
    """Run a command that must succeed and give its output."""
    done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def pip(python: str, *arguments: str) -> None:
    """Install with an environment's own pip."""
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def _python_for(extra: str) -> str:
    version = EXTRA_PYTHON.get(extra)
    if version is None:
        return sys.executable
    finder = [sys.executable, str(ROOT / "scripts/find_python.py"), version]
    found = subprocess.run(finder, capture_output=True, text=True).stdout.strip()
    if not found:
        pytest.skip(f"the extra {extra} needs Python {version}, which this machine does not have")
    return found


def _fingerprint(python: str) -> str:
    version = run([python, "-c", "import sys; print(sys.version)"])
    parts = [(ROOT / name).read_text() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256("".join([version, *parts]).encode()).hexdigest()[:12]


def _constraints(folder: Path, extra: str) -> Path:
    """The pinned versions; tflite-runtime was built for numpy 1 and gets an older one."""
    pins = (ROOT / "constraints.txt").read_text()
    if extra == "tflite-runtime":
        pins = re.sub(r"^numpy==.*$", "numpy<2", pins, flags=re.MULTILINE)
    path = folder / "constraints.txt"
    path.write_text(pins)
    return path
