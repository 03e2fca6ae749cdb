"""The example of a plug-in, installed as the package of its own that it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgeferry.app.results import results_schema

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "examples" / "plugin"
PICTURES = 60
BROUGHT = {"onnx-reference": "runtime", "onnxjson": "format", "cores": "device transport"}

Told = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path that the example is installed in; no network is asked."""
    if find_spec("setuptools") is None:  # imported, it would replace distutils
        pytest.skip("setuptools is missing")
    folder = tmp_path_factory.mktemp("plugin")
    copy = shutil.copytree(
        SOURCE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", *offline]
    subprocess.run([*install, "--target", str(folder / "site"), str(copy)], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def told(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Call with a command's arguments: what its ``--json`` tells, with the plug-in installed."""
    document = tmp_path_factory.mktemp("told") / "told.json"

    def told(*arguments: object) -> dict[str, Any]:
        command = [sys.executable, "-m", "edgeferry", *map(str, arguments), "--json", str(document)]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        content: dict[str, Any] = json.loads(document.read_text())
        jsonschema.validate(content, results_schema())
        return content

    return told


@pytest.fixture(scope="module")
def picture(exported: Any) -> Path:
    return Path(min(exported.pictures.glob("7/*.png")))


def test_it_passes_the_suites_of_engines_and_devices(
    site: Path, exported: Any, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "artifacts").symlink_to(exported.folder)
    np.save(tmp_path / "images.npy", exported.images[:PICTURES])
    np.save(tmp_path / "reference.npy", exported.reference[:PICTURES])
    path = os.pathsep.join([str(site), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": path, "EDGEFERRY_GIVEN": str(tmp_path)}
    options = ["-p", "given_artifacts", "-p", "no:cacheprovider", "-q"]
    command = [sys.executable, "-m", "pytest", *options, str(SOURCE / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_doctor_lists_what_it_brings(told: Told) -> None:
    found = told("doctor")
    listed = {each["name"]: each for each in found["plug_ins"]}
    assert {name: each["kind"] for name, each in listed.items()} == BROUGHT
    for each in listed.values():
        assert (each["package"], each["problem"]) == ("edgeferry-example-plugin", "")
    engines = {each["name"]: each for each in found["engines"]}
    assert engines["onnx-reference"]["formats"] == ["onnxjson", "onnx"]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_its_engine_is_chosen_by_name_and_agrees(
    told: Told, exported: Any, picture: Path, precision: str
) -> None:
    artifact = exported.folder / f"digits.{precision}.onnx"
    own = told("predict", artifact, picture, "--runtime", "onnx-reference")
    usual = told("predict", artifact, picture)
    assert own["results"][0]["runtime"] == "onnx-reference"
    assert usual["results"][0]["runtime"] == "onnxruntime"
    assert _scores(own) == pytest.approx(_scores(usual), abs=1e-3)


def test_its_format_is_written_and_read(
    told: Told, exported: Any, picture: Path, tmp_path: Path
) -> None:
    plain, output = exported.folder / "digits.fp32.onnx", tmp_path / "out"
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(exported.labels))
    alike = ("--preprocessing", "tf", "--resize", "squash", "--labels", labels)
    asked = ("--formats", "onnxjson", "--precisions", "fp32")
    report = told("export", exported.keras_path, "-o", output, *asked, *alike)
    (result,) = report["results"]
    assert (result["artifact"], result["format"]) == ("digits.fp32.onnxjson", "onnxjson")
    answer = told("predict", output / result["artifact"], picture)
    assert answer["results"][0]["runtime"] == "onnx-reference"
    assert _scores(answer) == pytest.approx(_scores(told("predict", plain, picture)), abs=1e-3)
    judged = told("evaluate", output, "--images", exported.pictures, "--reference", plain)
    assert [each["agreement"] for each in judged["results"] if each["format"] == "onnxjson"] == [
        100
    ]


def test_its_device_is_reached(told: Told, exported: Any) -> None:
    pytest.importorskip("onnxruntime")
    if not shutil.which("taskset"):
        pytest.skip("there is no taskset (util-linux)")
    address = f"cores://{min(os.sched_getaffinity(0))}"
    assert told("devices", "check", address)["facts"]["physical_cores"] == 1
    artifact = exported.folder / "digits.int8.onnx"
    found = told("benchmark", artifact, "--device", address, "--duration", "0.2")
    (result,) = found["results"]
    assert (result["device"], result["runtime"], result["threads"]) == (address, "onnxruntime", 1)
    assert result["p50_ms"] > 0


def _scores(document: dict[str, Any]) -> dict[str, float]:
    """The best answers' scores, by label."""
    ((prediction,),) = (result["predictions"] for result in document["results"])
    return {answer["label"]: answer["score"] for answer in prediction["answers"]}
