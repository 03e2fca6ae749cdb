"""tflite-runtime needs numpy 1 and so never lives beside the exporters: its suite runs apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = "tests/conformance/test_runtimes.py::TestTfliteRuntime"


@pytest.mark.parametrize("bare_python", ["tflite-runtime"], indirect=True)
def test_it_passes_the_conformance_suite(bare_python: str, exported: Any, tmp_path: Path) -> None:
    pytest_folder = _pytest_beside(bare_python)
    (tmp_path / "artifacts").symlink_to(exported.folder)
    np.save(tmp_path / "images.npy", exported.images)
    np.save(tmp_path / "reference.npy", exported.reference)
    path = os.pathsep.join([str(pytest_folder), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": path, "EDGEFERRY_GIVEN": str(tmp_path)}
    options = ["--noconftest", "-p", "given_artifacts", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        [bare_python, "-m", "pytest", *options, SUITE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def _pytest_beside(python: str) -> Path:
    """pytest in a folder next to the environment, which itself stays bare."""
    environment = Path(python).parents[1]
    folder = environment / "pytest"
    if not (environment / "has-pytest").exists():
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *constraints, "--target", str(folder), "pytest"], check=True)
        (environment / "has-pytest").touch()
    return folder
