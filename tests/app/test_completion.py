"""What a shell gets to complete, by the protocol that typer's scripts speak."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeferry.app.cli import COMPLETING, run

COMMAND = Path(sys.executable).with_name("edgeferry")


@pytest.fixture(autouse=True)
def devices(tmp_path, monkeypatch):
    """The file of the user's devices, with one in it."""
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path))
    file = tmp_path / "devices.toml"
    file.write_text('[kitchen]\naddress = "ssh://pi@kitchen"\n')
    return file


@pytest.fixture
def completed(monkeypatch, capfd):
    """What may stand at the end of a line, whose last word may be incomplete or missing."""

    def complete(line):
        words = line.split(" ")
        monkeypatch.setenv(COMPLETING, "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["edgeferry", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        assert run([]) == 0
        output, errors = capfd.readouterr()
        assert errors == ""
        return output.split()

    return complete


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("exp", ["export"]),
        ("devices ch", ["check"]),
        ("export --prep", ["--preprocessing"]),
        ("predict --verb", ["--verbose"]),
        ("export --preprocessing ", ["caffe", "torch", "tf", "zero_one", "none"]),
        ("export --formats t", ["tflite"]),
        ("export --formats tflite,", ["tflite,onnx", "tflite,openvino"]),
        ("export --precisions fp32,fp16,", ["fp32,fp16,int8"]),
        ("export --targets a", ["arm"]),
        ("export --calibration-method m", ["minmax", "mse"]),
        ("export mobilenet_v2", ["mobilenet_v2"]),
        ("predict net.onnx x.png --runtime o", ["onnxruntime", "openvino"]),
        ("benchmark --execution a", ["auto"]),
        ("benchmark --device ", ["local", "kitchen"]),
        ("bundle net.onnx --device k", ["kitchen"]),
        ("bundle net.onnx --device raspberry-pi-z", ["raspberry-pi-zero-2-w"]),
        ("devices show kit", ["kitchen"]),
        ("devices add x ssh://x --profile jetson", ["jetson-orin-nano"]),
        ("predict ", []),
        ("export --calibration ", []),
    ],
)
def test_names_are_completed(completed, line, names):
    assert completed(line) == names


def test_broken_files_of_the_user_are_no_obstacle(completed, devices, tmp_path, monkeypatch):
    devices.write_text("[kitchen")
    (tmp_path / "edgeferry.toml").write_text("[export")
    monkeypatch.chdir(tmp_path)
    assert completed("benchmark --device ") == []
    assert completed("export --formats o") == ["onnx", "openvino"]


def test_completing_loads_neither_numpy_nor_an_engine():
    program = (
        "import sys; from edgeferry.app.cli import run; run([]); "
        "heavy = {'numpy', 'PIL', 'tensorflow', 'onnx', 'onnxruntime', 'openvino'}; "
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    asked = {
        COMPLETING: "complete_bash",
        "COMP_WORDS": "edgeferry export --formats ",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **asked},
        check=True,
    )
    assert done.stdout.split() == ["tflite", "onnx", "openvino"]
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell, monkeypatch, capfd):
    monkeypatch.setenv(COMPLETING, f"source_{shell}")
    assert run([]) == 0
    script = capfd.readouterr().out
    assert "edgeferry" in script
    assert f"complete_{shell}" in script


def test_help_tells_how_to_install_it(capfd):
    assert run(["--help"]) == 0
    shown = capfd.readouterr().out
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.skipif(not COMMAND.exists(), reason="the command is not installed beside Python")
def test_bash_completes_with_the_script():
    lines = (
        f'eval "$({COMPLETING}=source_bash {COMMAND})"',
        f"COMP_WORDS=({COMMAND} export --resize s)",
        "COMP_CWORD=3",
        f"_edgeferry_completion {COMMAND}",
        'echo "${COMPREPLY[@]}"',
    )
    command = ["bash", "--norc", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["shorter", "squash"]
