"""What edgeferry tells of its work: nothing unasked, on standard error with -v."""

import json
import logging
import re
import subprocess
import sys

import pytest

import edgeferry
from edgeferry.app.child import run_in_child
from edgeferry.app.cli import run
from edgeferry.calibration.store import write_calibration
from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.registry import open_device
from edgeferry.exporters.processes import Worker
from edgeferry.progress import silent
from edgeferry.runtimes.registry import choose_runtime

LINE = re.compile(r" *\d+ ms  edgeferry\.\S+: .+")


@pytest.fixture
def artifact(tmp_path, write_network, matrix):
    pytest.importorskip("onnxruntime")
    return write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)


@pytest.fixture
def told(caplog):
    """Gives what has been told by now."""
    caplog.set_level(logging.DEBUG, "edgeferry")
    return lambda: "\n".join(caplog.messages)


def log_lines(text):
    return [line for line in text.splitlines() if LINE.fullmatch(line)]


def test_nothing_is_told_unasked(artifact, capfd):
    assert run(["inspect", str(artifact)]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["-v", "inspect"], ["inspect", "-v"], ["inspect", "-vv"]])
def test_verbose_tells_what_is_done_though_engines_are_silent(artifact, capfd, arguments):
    assert run([*arguments, str(artifact)]) == 0
    output, errors = capfd.readouterr()
    assert artifact.name in output
    assert log_lines(output) == []
    assert log_lines(errors) == errors.splitlines()
    assert f"{artifact}: onnx, fp32" in errors
    assert f"onnxruntime opened {artifact}, threads " in errors


def test_json_on_standard_output_stays_whole(artifact, capfd):
    assert run(["inspect", str(artifact), "--json", "-", "--verbose"]) == 0
    output, errors = capfd.readouterr()
    assert json.loads(output)["tool"]["command"] == "inspect"
    assert log_lines(errors)


def test_the_log_ends_with_the_command(artifact, capfd):
    log = logging.getLogger("edgeferry")
    before = log.level, list(log.handlers)
    assert run(["inspect", str(artifact), "-vv"]) == 0
    assert (log.level, log.handlers) == before
    capfd.readouterr()
    assert run(["inspect", str(artifact)]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("verbose", "detailed"), [(["-v"], False), (["-vv"], True), (["-v", "--verbose"], True)]
)
def test_details_are_told_when_asked_twice(verbose, detailed, capfd):
    run(["devices", "check", "local", *verbose])
    errors = capfd.readouterr().err
    assert "device local at local" in errors
    assert ("edgeferry.devices.machine" in errors) == detailed


def test_the_settings_file_is_told_wherever_verbose_stands(tmp_path, monkeypatch, capfd):
    (tmp_path / "edgeferry.toml").write_text("[export]\nseed = 1")
    monkeypatch.chdir(tmp_path)
    assert run(["devices", "list", "-v"]) == 0
    assert f"settings of {tmp_path / 'edgeferry.toml'}" in capfd.readouterr().err


def test_programs_may_listen(artifact, told):
    with edgeferry.load(artifact, threads=1):
        pass
    assert "threads=1" in told()


def test_programs_that_do_not_listen_hear_nothing(artifact):
    program = (
        "import logging, sys, edgeferry; edgeferry.load(sys.argv[1]).close(); "
        "log = logging.getLogger('edgeferry'); log.warning('for those who listen'); "
        "print(len(log.handlers), logging.getLogger().handlers)"
    )
    command = [sys.executable, "-c", program, str(artifact)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1 []\n", "")


@pytest.mark.parametrize(
    "code", ["import edgeferry", "from edgeferry.app.cli import run; run(['export', '--help'])"]
)
def test_nothing_of_it_is_loaded_unless_needed(code):
    program = f"{code}\nimport sys\nprint({{'logging', 'tomllib'}} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_an_engine_that_is_passed_over_is_named(monkeypatch, told):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: name == "tensorflow" or None)
    assert choose_runtime("tflite") == "tensorflow"
    assert "litert is passed over: ai_edge_litert not installed" in told()


def test_the_choice_of_pictures_is_told(pictures, tmp_path, contract, told):
    write_calibration(pictures, contract.input, 7, 3, tmp_path / "chosen.npy")
    assert f"7 of 20 pictures of {pictures}, 0 skipped, seed 3" in told()


def test_processes_are_told_of(told):
    with Worker("test"):
        pass
    run_in_child(id, (), silent, "counting")
    for name in ("test", "counting"):
        started, ended = re.findall(rf"process (\d+) for {name} (?:started|ended)", told())
        assert started == ended


def test_device_commands_are_told(tmp_path, told):
    sent = tmp_path / "sent.txt"
    sent.write_text("hello")
    with open_device(DeviceSettings("here", "local", folder=str(tmp_path / "device"))) as device:
        device.push(sent, "there.txt")
        device.run(Command([sys.executable, "-c", "raise SystemExit(7)"]))
        device.pull("there.txt", tmp_path / "back.txt")
    shown = told()
    assert "device here at local" in shown
    assert f"here gets {sent} as there.txt" in shown
    assert f"here runs {sys.executable} -c 'raise SystemExit(7)'" in shown
    assert "here: exit code 7" in shown
    assert "here gives there.txt" in shown
