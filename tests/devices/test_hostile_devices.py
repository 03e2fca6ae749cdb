"""Devices that tell lies, garbage, or without an end; each of these once fell or took minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeferry.app import group_run
from edgeferry.app.group_run import GroupRun
from edgeferry.artifact import Artifact
from edgeferry.devices.agent_client import AgentClient
from edgeferry.devices.android_facts import android_facts
from edgeferry.devices.benchmark_model import parsed
from edgeferry.devices.checked import machine
from edgeferry.devices.device import Completed, DeviceSettings
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.job import Event, read_event
from edgeferry.devices.known import known_devices
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.measurement import Trial
from edgeferry.devices.profile_files import PINS, read_pins
from edgeferry.devices.ssh_device import SshDevice
from edgeferry.devices.toml_tables import read_toml
from edgeferry.errors import DeviceError, UsageError

TURN = {"nanoseconds": [1000], "pictures": [], "seconds": 1.0, "temperature_c": None}
TURN |= {"clock_mhz": None, "throttled": None, "joules": None}


class Telling(FakeDevice):
    """A device whose every command prints the same, and ends well."""

    text = ""

    def _run(self, command, listen):
        return Completed(0, self.text)


@pytest.fixture
def telling(tmp_path):
    with Telling(DeviceSettings("pi", folder=str(tmp_path / "pi"))) as device:
        yield device


@pytest.fixture
def run():
    return GroupRun("pi", False, [Artifact(Path("a.onnx"), "onnx", None, 1)])


@pytest.mark.parametrize("version", ["² ¹", "٣ ١٢", "3 " + "9" * 5000, "3.11", ""])
def test_what_is_no_version_of_python_is_none(telling, version):
    telling.text = version
    with pytest.raises(DeviceError, match="has no Python"), AgentClient(telling) as client:
        client.prepare()


@pytest.mark.parametrize("value", ['{"a":' * 100_000, f"{10**400}", '"\\udc80"', "NaN"])
def test_an_event_that_is_no_json_is_passed_over(value):
    event = read_event(f'{{"event": "facts", "facts": {value}}}')
    assert event is None or event.content["facts"] == "\ufffd"


@pytest.mark.parametrize("facts", [[], 1, None, "isa"])
def test_facts_that_are_none_are_refused(facts):
    with pytest.raises(ValueError, match="are no facts"):
        machine(facts)


def test_facts_of_another_kind_are_not_told():
    assert machine({"isa": "neon", "packages": {"numpy": 2}, "board": "Pi"}) == {
        "isa": None,
        "packages": None,
        "board": "Pi",
    }
    good = {"isa": ["neon"], "packages": {"numpy": "2.4.6", "pillow": None}}
    assert machine(good) == good


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0},
        {"threads": "1"},
        {"execution": "float8"},
        {"execution": []},
        {"path": None},
        {"settings": [["spinning", 1]]},
        {"settings": "ab"},
        {"runtime": ["litert"]},
    ],
)
def test_a_trial_of_other_kinds_is_refused(change):
    told = json.loads(json.dumps(Trial("a.onnx", settings=(("a", "b"),)).to_dict()))
    assert Trial.from_dict(told) == Trial("a.onnx", settings=(("a", "b"),))
    with pytest.raises((ValueError, TypeError)):
        Trial.from_dict({**told, **change})


def test_more_turns_than_any_plan_has_are_refused(run, monkeypatch):
    turn = Event("slice", 0, {"slice": TURN})
    for _ in range(100):
        run.hear(run.artifacts, turn)
    with pytest.raises(DeviceError, match="more turns than any plan has"):
        run.hear(run.artifacts, turn)


def test_more_timings_than_fit_in_memory_are_refused(run, monkeypatch):
    monkeypatch.setattr(group_run, "_MOST_TIMINGS", 2500)
    turn = Event("slice", 0, {"slice": {**TURN, "nanoseconds": [1000] * 900}})
    run.hear(run.artifacts, turn)
    run.hear(run.artifacts, turn)
    with pytest.raises(DeviceError, match="more than 2500 timings"):
        run.hear(run.artifacts, turn)


@pytest.mark.parametrize("ranges", ["0-9999," * 100_000 + "0", "9999-0", "²-3", "-", ""])
def test_a_phone_has_as_many_processors_as_can_be(ranges):
    class Phone(LocalDevice):
        def _run(self, command, listen):
            return Completed(0, f"/sys/devices/system/cpu/online:{ranges}\n")

    with Phone(DeviceSettings("phone")) as device:
        assert android_facts(device)["logical_cpus"] in (None, 1, 10_000)


def test_a_line_without_an_end_is_read_in_one_go():
    """Matching began anew at each of its letters: minutes for a megabyte."""
    with pytest.raises(DeviceError, match="cannot be read"):
        parsed(Completed(0, "count=1 " + "a" * 1_000_000), "benchmark_model on rok")
    summary = "Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, "
    counts = "count=1 curr=2 " + "a" * 1_000_000 + "\n"
    timing = parsed(Completed(0, f"{counts}{counts}{summary}Inference (avg): 2"), "it")
    assert timing.count == 1


def test_a_digest_that_was_not_printed_is_none(monkeypatch):
    device = SshDevice(DeviceSettings("pi", "ssh://pi@host"))
    monkeypatch.setattr(device, "_run", lambda command, listen: Completed(0, " \n"))
    assert device.digest("net.onnx") is None


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "{b = " * 5000])
def test_toml_that_lies_too_deep_in_itself_is_refused(tmp_path, text):
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"devices\.toml"):
        read_toml(file)


def test_a_home_folder_of_nobody_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path))
    text = '[pi]\naddress = "ssh://pi@host"\nbenchmark_model = "~nobody-at-all/b"\n'
    (tmp_path / "devices.toml").write_text(text)
    assert known_devices()["pi"].benchmark_model == tmp_path / "~nobody-at-all/b"


@pytest.mark.parametrize("text", ["linux = 1", "[linux]\nlitert = 3", "[linux]\nlitert = [3]"])
def test_pins_of_other_kinds_are_refused(tmp_path, text):
    (tmp_path / PINS).write_text(text)
    with pytest.raises(UsageError, match=PINS):
        read_pins(tmp_path)
