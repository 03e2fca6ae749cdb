"""tflite-runtime needs numpy 1 and so never lives beside the exporters: its tests run apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_answer import LEAST_SAME, require_same_answers

import edgeferry

ROOT = Path(__file__).resolve().parents[2]
SUITE = "tests/conformance/test_runtimes.py::TestTfliteRuntime"
WORKER = Path(__file__).with_name("probabilities_worker.py")


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


@pytest.mark.parametrize("bare_python", ["tflite-runtime"], indirect=True)
def test_int8_answers_are_those_of_the_other_engines(
    bare_python: str, exported: Any, tmp_path: Path, record_property: Any
) -> None:
    artifact = exported.folder / "digits.int8.tflite"
    pictures, output = tmp_path / "pictures.npy", tmp_path / "probabilities.npy"
    np.save(pictures, exported.images)
    command = [bare_python, str(WORKER), str(pictures), str(artifact), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "tflite-runtime"
    for engine in ("litert", "tensorflow"):
        with edgeferry.load(artifact, runtime=engine, threads=1) as predictor:
            expected = predictor.predict_proba(exported.images)

        def record(name: str, value: object, engine: str = engine) -> None:
            record_property(f"{engine} {name}", value)

        require_same_answers(np.load(output), expected, LEAST_SAME["tflite"], record)


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
