"""The example that trains writes what the commands it names need."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgeferry.app.cli import run

pytest.importorskip("keras")
pytest.importorskip("pycocotools")
TRAIN = Path(__file__).parents[2] / "examples" / "train.py"


@pytest.mark.parametrize("network", ["unet", "yolov3"])
def test_its_commands_work(tmp_path, network, capfd):
    command = [sys.executable, str(TRAIN), network, "-o", str(tmp_path / "net")]
    told = subprocess.run(
        [*command, "--epochs", "1", "--pictures", "32"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    commands = told[told.index("edgeferry export") :].replace("\\\n", " ").splitlines()
    assert len(commands) == 2
    export, evaluate = (shlex.split(each)[1:] for each in commands)
    assert run([*export, "--formats", "onnx", "--precisions", "fp32"]) == 0
    assert run(evaluate) == 0
    measure = {"unet": "mean IoU", "yolov3": "mAP@0.5"}[network]
    assert measure in capfd.readouterr().out
