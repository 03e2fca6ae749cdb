"""What importing edgeferry, or asking it for help, loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ENGINES = {
    "ai_edge_litert",
    "keras",
    "nncf",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorflow",
    "tf2onnx",
    "tflite_runtime",
}
IMPORT = "import edgeferry"
HELP = "from edgeferry.app.cli import run; assert run(['--help']) == 0"
COMMAND_HELP = "from edgeferry.app.cli import run; assert run(['export', '--help']) == 0"


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (IMPORT, {"numpy", "PIL", "rich", "typer"}),
        (HELP, {"numpy", "PIL", "rich"}),
        (COMMAND_HELP, {"numpy", "PIL", "rich"}),
    ],
    ids=["import", "help", "export help"],
)
def test_nothing_heavy_is_loaded(code: str, unwanted: set[str]) -> None:
    loaded = _modules_after(code)
    assert "edgeferry" in loaded
    assert loaded & (unwanted | ENGINES) == set()


def test_the_public_names_load_no_engine() -> None:
    loaded = _modules_after("import edgeferry; [getattr(edgeferry, n) for n in edgeferry.__all__]")
    assert "numpy" in loaded
    assert loaded & ENGINES == set()


def _modules_after(code: str) -> set[str]:
    """Top-level names of the modules that are loaded after some code."""
    tail = "import json, sys; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    command = [sys.executable, "-c", f"{code}\n{tail}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
