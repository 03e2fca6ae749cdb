"""``edgeferry devices``: what a device is, what it lacks, and what the commands write as JSON."""

import json
import sys

import jsonschema
import pytest

from edgeferry.app import device_check
from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.devices.device import Completed
from edgeferry.devices.fake_board import MIDRS, write_board
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.machine import machine_facts
from edgeferry.devices.profile import profile_named

PI4 = profile_named("raspberry-pi-4")
ENGINES = {"litert", "tflite-runtime", "onnxruntime", "openvino"}
UNDER_VOLTAGE = "5"
"""Bits of the throttling word: too little voltage, and throttled, now."""


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """Where the user's devices are kept; there are none yet."""
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Puts a fake board in the place of every device; what its Python has is given."""

    def made(packages, profile=PI4, **facts):
        root = tmp_path / "board"
        write_board(root, profile, MIDRS["cortex-a72"], 4)
        word = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        word.parent.mkdir(parents=True)
        word.write_text(UNDER_VOLTAGE)
        told = {"architecture": "aarch64", "physical_cores": 4, "packages": packages, **facts}

        class Board(FakeDevice):
            def _run(self, command, listen):
                if "edgeferry.devices.machine" not in command.arguments:
                    return super()._run(command, listen)
                return Completed(0, json.dumps({**machine_facts(root), **told}))

        monkeypatch.setattr(device_check, "open_device", Board)

    return made


def found(capfd, *arguments, code=0):
    """Run ``edgeferry devices`` with ``--json -``; what it writes, held to the schema."""
    assert run(["devices", *arguments, "--json", "-"]) == code
    document = json.loads(capfd.readouterr().out)
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    assert document["tool"]["command"] == f"devices {arguments[0]}"
    assert document["results"] == []
    return document


def test_this_machine_can_be_checked(capfd):
    document = found(capfd, "check", "local")
    assert document["problems"] == []
    assert document["engines"].keys() == ENGINES
    assert document["engines"]["onnxruntime"]
    assert document["facts"]["python"] == sys.version.split()[0]
    assert document["device"]["address"] == "local"


def test_a_table_shows_facts_and_engines(capfd):
    assert run(["devices", "check", "local"]) == 0
    shown = capfd.readouterr().out
    assert "architecture" in shown
    assert all(engine in shown for engine in ENGINES)


def test_a_board_is_known_by_its_files_and_its_weak_supply_noted(board, capfd):
    board({"numpy": "2.0", "pillow": "11", "onnxruntime": "1.23"})
    run(["devices", "add", "pi", "ssh://pi", "--profile", "raspberry-pi-4"])
    capfd.readouterr()
    document = found(capfd, "check", "pi")
    assert "Raspberry Pi 4" in document["facts"]["board"]
    assert [name for name, version in document["engines"].items() if version] == ["onnxruntime"]
    assert document["problems"] == []
    assert any("voltage" in note for note in document["notes"])
    assert not any("profile" in note for note in document["notes"])


def test_a_board_that_is_not_of_its_profile_is_noted(board, capfd):
    board({"numpy": "2.0", "pillow": "11", "openvino": "2026"}, physical_cores=2)
    run(["devices", "add", "pi", "ssh://pi", "--profile", "raspberry-pi-4"])
    capfd.readouterr()
    assert run(["devices", "check", "pi"]) == 0
    said = capfd.readouterr().err
    assert "its profile raspberry-pi-4 says physical_cores 4; it has 2" in said


@pytest.mark.parametrize(
    ("packages", "lacking"),
    [
        ({"numpy": "2.0", "pillow": "11"}, ["no engine"]),
        ({"pillow": "11", "onnxruntime": "1.23"}, ["no numpy"]),
        ({}, ["no numpy", "no pillow", "no engine"]),
    ],
)
def test_what_is_missing_is_told_with_the_way_out_and_exit_code_1(board, capfd, packages, lacking):
    board(packages)
    document = found(capfd, "check", "ssh://pi", code=1)
    (problem,) = document["problems"]
    assert ", ".join(lacking) in problem
    assert "edge/bin/pip install numpy pillow" in problem
    assert "edgeferry devices add" in problem
    assert run(["devices", "check", "ssh://pi"]) == 1
    assert f"ssh://pi failed: {'; '.join(document['problems'])}" in capfd.readouterr().err


@pytest.mark.parametrize("lines", [0, 1])
def test_a_device_that_is_lost_is_one_message(monkeypatch, capfd, lines):
    """At once, or after it has told the version of its Python."""
    monkeypatch.setattr(device_check, "open_device", lambda settings: FakeDevice(settings, lines))
    assert run(["devices", "check", "ssh://pi"]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == "edgeferry: ssh://pi was lost\n"


def test_a_phone_without_a_program_is_told_with_the_way_out(capfd):
    assert run(["devices", "check", "adb://nowhere"]) == 2
    assert "--benchmark-model FILE" in capfd.readouterr().err


def test_what_is_added_is_written_and_listed_and_shown(tmp_path, capfd):
    program = tmp_path / "benchmark_model"
    program.touch()
    asked = ["add", "rok", "adb://serial", "--profile", "android-phone"]
    added = found(capfd, *asked, "--benchmark-model", str(program))["device"]
    assert (added["name"], added["benchmark_model"]) == ("rok", str(program))
    listed = found(capfd, "list")
    assert listed["devices"] == [added]
    assert "android-phone" in [each["name"] for each in listed["profiles"]]
    shown = found(capfd, "show", "rok")
    assert shown["device"] == added
    assert shown["profile"]["name"] == "android-phone"
    kind = found(capfd, "show", "raspberry-pi-4")
    assert kind["device"] is None
    assert kind["profile"]["architecture"] == PI4.architecture
