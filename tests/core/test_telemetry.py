"""The switches that turn telemetry off really hold in the packages that are installed."""

import subprocess
import sys

import pytest


def run(code: str, home) -> str:
    program = f"from edgeferry.telemetry import disable_telemetry; disable_telemetry()\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "HOME": str(home)},
    )
    return done.stdout.strip()


def test_openvino_and_nncf_use_their_stubs(tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    code = """
import openvino.tools.ovc.telemetry_utils as utils, nncf.telemetry.wrapper as wrapper
print(utils.tm.__name__, type(wrapper.telemetry).__name__)
"""
    assert run(code, tmp_path) == "openvino.tools.ovc.telemetry_stub MagicMock"
    assert not list(tmp_path.iterdir())  # no client identity was made


def test_the_variable_that_onnx_runtime_reads_is_set(tmp_path):
    assert run("import os; print(os.environ['ORT_DISABLE_TELEMETRY'])", tmp_path) == "1"
