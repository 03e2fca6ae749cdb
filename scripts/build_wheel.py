"""Build the wheel from a clean copy of the checkout: ``build_wheel.py FOLDER``.

setuptools puts whatever an earlier build left in ``build/`` into the next wheel, so a module
that was deleted or renamed would still ship.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE")
ROOMS = ("core", "exporters", "calibration", "runtimes", "devices", "tests")


def copy_sources(destination: Path) -> None:
    """Copy what the package is built from."""
    for name in SOURCES:
        shutil.copy2(ROOT / name, destination / name)
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, destination / room, ignore=ignored)


def build(folder: Path, sdist: bool = False) -> None:
    """Build a wheel, or a source distribution, into a folder."""
    kind = "--sdist" if sdist else "--wheel"
    with tempfile.TemporaryDirectory() as copy:
        copy_sources(Path(copy))
        command = [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            kind,
            "--outdir",
            str(folder),
            copy,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the build failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
