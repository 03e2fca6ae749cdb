"""The switches that turn telemetry off really hold in the packages that are installed."""

import subprocess
import sys

import pytest


def run(code: str, home, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "HOME": str(home), **environment},
    )
    return done.stdout.strip()


def test_openvino_and_nncf_use_their_stubs(tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    code = """
import edgeferry
import openvino.tools.ovc.telemetry_utils as utils, nncf.telemetry.wrapper as wrapper
print(utils.tm.__name__, type(wrapper.telemetry).__name__)
"""
    assert run(code, tmp_path) == "openvino.tools.ovc.telemetry_stub MagicMock"
    assert not list(tmp_path.iterdir())  # no client identity was made


PREDICT = "import edgeferry; edgeferry.load({path!r}).predict({picture!r})"


@pytest.fixture(params=[".tflite", ".onnx", ".xml"])
def prediction(request, exported) -> str:
    """A program that predicts."""
    path, picture = exported.folder / f"digits.int8{request.param}", exported.pictures / "3"
    return PREDICT.format(path=str(path), picture=str(next(picture.iterdir())))


def test_opening_an_artifact_makes_no_client_identity(prediction, tmp_path):
    run(prediction, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_home_nothing_is_said_of_identities(prediction, tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, "-W", "ignore", "-c", prediction]
    home = {"PATH": "", "HOME": str(tmp_path / "file" / "home")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=home)
    said = [line for line in done.stderr.splitlines() if "XNNPACK" not in line]  # LiteRT's greeting
    assert said == []


def test_what_the_user_says_holds(tmp_path):
    code = "import edgeferry, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run(code, tmp_path) == "1"
    assert run(code, tmp_path, ORT_DISABLE_TELEMETRY="0") == "0"
