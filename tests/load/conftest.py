"""The int8 artifacts of the small network, one for each engine."""

from pathlib import Path

import pytest

ENGINES = {".tflite": "ai_edge_litert", ".onnx": "onnxruntime", ".xml": "openvino"}


@pytest.fixture(params=ENGINES)
def artifact(request: pytest.FixtureRequest, exported) -> Path:
    pytest.importorskip(ENGINES[request.param])
    return exported.folder / f"digits.int8{request.param}"


@pytest.fixture
def artifacts(exported) -> list[Path]:
    for module in ENGINES.values():
        pytest.importorskip(module)
    return [exported.folder / f"digits.int8{suffix}" for suffix in ENGINES]
