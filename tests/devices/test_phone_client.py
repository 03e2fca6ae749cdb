"""Measuring on a phone: TFLite's program, for which a script stands, behind the agent's events."""

import os
import threading
from dataclasses import replace

import pytest
from device_ends.phone_program import FIRST_MS, LOAD_MS, PEAK_MB, write_program

from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.job import Job
from edgeferry.devices.measurement import Plan, Run, Slice, Trial
from edgeferry.devices.phone_client import PhoneClient
from edgeferry.devices.registry import open_device
from edgeferry.errors import DeviceLostError, UsageError, rebuilt_error

pytest_plugins = ["device_ends.adb"]

QUICK = Plan(seconds=0.02, rounds=2, warm_up=0)
FAST, SLOW = 3000, 9000
TIMES = {"'fast.tflite '*": FAST, "*": SLOW}
BY_THREADS = {"*' 1'": 9000, "*' 2'": 3000, "*' 4'": 5000}


@pytest.fixture
def measured(phone, tmp_path):
    """Has artifacts of these names measured on a phone with four cores; gives the events."""
    phone.add_program("grep", "echo /sys/devices/system/cpu/online:0-3\n")

    def measured(*names, program=None, heard=None, threads=None, plan=QUICK, **options):
        program = program or write_program(tmp_path / "benchmark_model", TIMES)
        settings = DeviceSettings("rok", f"adb://{phone.serial}", benchmark_model=program)
        heard = [] if heard is None else heard
        with open_device(settings) as device, PhoneClient(device) as client:
            trials = [placed(device, tmp_path / name, threads) for name in names]
            client.measure(Job(trials, plan, **options), heard.append)
        return heard

    return measured


def placed(device, file, threads):
    file.write_text(file.name)
    return Trial(device.place([file])[0], threads=threads)


def runs(phone):
    """Artifact and threads of every run of the program."""
    lines = (phone.root / "edgeferry/runs").read_text().splitlines()
    return [tuple(line.split()) for line in lines]


def test_events_are_those_of_an_agent(measured):
    events = measured("slow.tflite", "fast.tflite")
    told = [(event.kind, event.trial) for event in events]
    turns = [("slice", 0), ("slice", 1), ("slice", 1), ("slice", 0)]
    ends = [("measured", 0), ("measured", 1), ("facts", None), ("done", None)]
    assert told == [("facts", None), *turns, *ends]
    assert events[0].content["facts"]["system"] == "Android 14"
    slices = [Slice.from_dict(each.content["slice"]) for each in events if each.kind == "slice"]
    assert [turn.nanoseconds for turn in slices] == [
        (us * 1000,) for us in (SLOW, FAST, FAST, SLOW)
    ]
    assert {(turn.pictures, turn.temperature_c, turn.joules) for turn in slices} == {
        ((), None, None)
    }


def test_the_run_is_told_as_the_program_tells_it(measured):
    (content,) = (event.content for event in measured("a.tflite") if event.kind == "measured")
    run = Run.from_dict(content["run"])
    assert (run.engine, run.device, run.executed) == ("benchmark_model", "XNNPACK", "unknown")
    assert (run.load_ms, run.first_ms, run.peak_rss_mb) == (LOAD_MS, FIRST_MS, PEAK_MB)


def test_that_layers_are_not_timed_there_is_told(measured):
    events = measured("a.tflite", plan=replace(QUICK, profile=True))
    (content,) = (event.content for event in events if event.kind == "measured")
    layers = Run.from_dict(content["run"]).layers
    assert layers.layers == ()
    assert "benchmark_model" in layers.problem


@pytest.mark.parametrize(("asked", "used"), [(None, 4), (3, 3)])
def test_the_program_gets_the_threads_asked_for_else_one_for_each_core(
    measured, phone, asked, used
):
    events = measured("a.tflite", threads=asked)
    (content,) = (event.content for event in events if event.kind == "measured")
    assert content["run"]["threads"] == used
    assert set(runs(phone)) == {("a.tflite", str(used))}


def test_another_format_is_refused_by_name_and_the_others_are_measured(measured):
    events = measured("a.onnx", "b.tflite")
    assert [event.trial for event in events if event.kind == "measured"] == [1]
    (failed,) = (event for event in events if event.kind == "failed")
    assert failed.trial == 0
    assert "does not run a.onnx" in rebuilt_error(failed.content["error"]).problem


def test_an_artifact_that_it_fails_on_is_told_and_the_others_are_measured(measured, tmp_path):
    crash = "case $run in bad*) echo broken >&2; exit 1 ;; esac"
    program = write_program(tmp_path / "benchmark_model", TIMES, crash)
    events = measured("good.tflite", "bad.tflite", program=program)
    assert [event.trial for event in events if event.kind == "measured"] == [0]
    (failed,) = (event for event in events if event.kind == "failed")
    assert "benchmark_model on rok failed (exit code 1): broken" in str(failed.content)


def test_tuning_takes_the_fastest_number_of_threads(measured, tmp_path):
    program = write_program(tmp_path / "benchmark_model", BY_THREADS)
    events = measured("a.tflite", program=program, tune=True)
    (tuned,) = (event.content for event in events if event.kind == "tuned")
    tried = [(each["trial"]["threads"], each["p50_ms"]) for each in tuned["rungs"][0]]
    assert tried == [(2, 3.0), (4, 5.0), (1, 9.0)]
    (content,) = (event.content for event in events if event.kind == "measured")
    assert content["options"]["threads"] == 2


def test_tuning_leaves_the_threads_asked_for(measured, phone):
    measured("a.tflite", tune=True, threads=3)
    assert set(runs(phone)) == {("a.tflite", "3")}


def test_without_a_program_the_way_out_is_told():
    settings = DeviceSettings("rok", "adb://nowhere")
    with (
        open_device(settings) as device,
        PhoneClient(device) as client,
        pytest.raises(UsageError, match="rok has no Python") as caught,
    ):
        client.prepare()
    assert "--benchmark-model FILE" in caught.value.remedy


@pytest.mark.parametrize("tune", [False, True])
def test_a_phone_that_is_lost_in_the_middle_says_so(measured, phone, tmp_path, tune):
    block = "case $run in second*) echo on >gate; sleep 1000 ;; esac"
    program = write_program(tmp_path / "benchmark_model", TIMES, block)
    gate = phone.root / "edgeferry/gate"
    gate.parent.mkdir()
    os.mkfifo(gate)
    killer = threading.Thread(target=lambda: (gate.read_text(), phone.die()))
    killer.start()
    heard = []
    with pytest.raises(DeviceLostError, match="rok was lost while"):
        measured("first.tflite", "second.tflite", program=program, heard=heard, tune=tune)
    killer.join()
    told = [(event.kind, event.trial) for event in heard]
    assert told == [("facts", None), ("tuned" if tune else "slice", 0)]
