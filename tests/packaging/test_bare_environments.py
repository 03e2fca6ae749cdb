"""What a device installs: the wheel and one engine, no TensorFlow."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeferry

WORKER = Path(__file__).with_name("bare_worker.py")
PICTURES = 20
SUFFIXES = {"tflite": ".tflite", "tflite-runtime": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
"""The artifacts that each extra runs."""
OTHERS = {
    "tflite": (".onnx", "onnx"),
    "tflite-runtime": (".onnx", "onnx"),
    "onnx": (".tflite", "tflite"),
    "openvino": (".tflite", "tflite"),
}
"""For each extra the artifacts it does not run, and the extra that would."""


@pytest.mark.parametrize(
    ("bare_python", "extra"),
    [pytest.param(extra, extra, id=extra) for extra in SUFFIXES],
    indirect=["bare_python"],
)
def test_one_extra_is_enough_to_predict(
    bare_python: str, extra: str, exported: Any, tmp_path: Path
) -> None:
    artifacts = sorted(exported.folder.glob(f"*{SUFFIXES[extra]}"))
    assert len(artifacts) >= 3  # fp32, fp16, int8
    pictures = exported.images[:PICTURES]
    np.save(tmp_path / "pictures.npy", pictures)
    told = _told(bare_python, WORKER, tmp_path / "pictures.npy", *artifacts)
    assert told["heavy"] == []
    for artifact in artifacts:
        with edgeferry.load(artifact, threads=1) as predictor:
            expected = [answers[0].label for answers in predictor.predict(list(pictures), top_k=1)]
        assert told["answers"][artifact.name]["labels"] == expected, artifact.name


@pytest.mark.parametrize(
    ("bare_python", "extra"),
    [pytest.param(extra, extra, id=extra) for extra in SUFFIXES],
    indirect=["bare_python"],
)
def test_another_format_names_the_extra_it_needs(
    bare_python: str, extra: str, exported: Any
) -> None:
    suffix, remedy = OTHERS[extra]
    artifact = next(exported.folder.glob(f"*.fp32{suffix}"))
    code = f"import edgeferry; edgeferry.load({str(artifact)!r})"
    done = _run(bare_python, "-c", code)
    assert done.returncode == 1
    assert "MissingDependencyError" in done.stderr
    assert f"pip install 'edgeferry[{remedy}]'" in done.stderr


@pytest.mark.parametrize("bare_python", [""], indirect=True)
def test_contracts_are_read_without_any_engine(bare_python: str, exported: Any) -> None:
    artifacts = [path for path in exported.folder.iterdir() if path.suffix in SUFFIXES.values()]
    assert len(artifacts) >= 9
    paths = [str(path) for path in artifacts]
    code = (
        "import json, edgeferry\n"
        f"print(json.dumps([edgeferry.read_contract(p).labels for p in {paths!r}]))"
    )
    assert _told(bare_python, "-c", code) == [list(exported.labels)] * len(artifacts)


@pytest.mark.parametrize("bare_python", [""], indirect=True)
def test_every_module_imports_without_engines(bare_python: str) -> None:
    # The command line needs typer, and five modules of the export process a TFLite schema.
    code = """
import importlib, json, pkgutil, edgeferry
users = ("activations", "bias", "integers", "metadata", "network")
schema = [f"edgeferry.exporters.tflite_{name}" for name in users]
needy = ("edgeferry.app.cli", "edgeferry.app.completion", *schema)
names = [m.name for m in pkgutil.walk_packages(edgeferry.__path__, "edgeferry.")]
light = [n for n in names if not n.startswith(needy)]
for name in light:
    importlib.import_module(name)
print(json.dumps(light))
"""
    modules = _told(bare_python, "-c", code)
    assert {"edgeferry.runtimes.predictor", "edgeferry.app.export"} <= set(modules)


@pytest.mark.parametrize("bare_python", [""], indirect=True)
def test_the_command_names_its_extra(bare_python: str) -> None:
    done = _run(str(Path(bare_python).with_name("edgeferry")), "--help")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'edgeferry[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def _told(python: str, *arguments: object) -> Any:
    done = _run(python, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _run(python: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *map(str, arguments)], capture_output=True, text=True)
