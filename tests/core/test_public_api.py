"""What ``import edgeferry`` costs, and what it gives."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = {
    "ai_edge_litert",
    "keras",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "PIL",
    "rich",
    "tensorflow",
    "tflite_runtime",
    "typer",
}


def loaded_by(code: str) -> set[str]:
    probe = f"{code}\nimport sys, json; print(json.dumps(list(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout
    return {name.split(".")[0] for name in json.loads(output.splitlines()[-1])}


def test_importing_loads_neither_numpy_nor_an_engine():
    assert not loaded_by("import edgeferry; edgeferry.__version__; dir(edgeferry)") & HEAVY


def test_reading_a_contract_needs_no_engine():
    assert not loaded_by("import edgeferry; edgeferry.read_contract") & HEAVY


def test_load_brings_numpy_but_no_engine():
    assert loaded_by("import edgeferry; edgeferry.load") & HEAVY == {"numpy"}


def test_every_public_name_is_there():
    import edgeferry

    for name in edgeferry.__all__:
        assert getattr(edgeferry, name) is not None
    assert edgeferry.__version__ == version("edgeferry")
    with pytest.raises(AttributeError, match="nonsense"):
        edgeferry.nonsense  # noqa: B018
