"""Benchmarks on several devices, some of which die; and runs that are interrupted and resumed."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from device_ends.processes import descendants, marked_processes, wait_until

from edgeferry.app import benchmark as module
from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.cli import run
from edgeferry.app.journal import Journal, journal_path, read_earlier
from edgeferry.app.results import results_schema
from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.job import Event
from edgeferry.devices.measurement import Plan
from edgeferry.errors import DeviceError, UsageError

QUICK = BenchmarkOptions(threads=1, duration=0.05)
IN_SECOND_GROUP = 30
"""Lines of an agent: the first group has 25 (two artifacts in ten rounds), the second 36."""
IN_SECOND_SUSTAINED = 1 + 20 + 2 + 11 + 5
"""Lines until the second of two artifacts runs alone: facts, turns, results, the first alone."""


@pytest.fixture
def artifacts(tmp_path, write_network, matrix):
    """A group of two and one of three, each in a folder of its own."""
    made = []
    for folder, *precisions in (("one", "fp32", "int8"), ("two", "fp32", "fp16", "int8")):
        (tmp_path / folder).mkdir()
        for precision in precisions:
            path = tmp_path / folder / f"{folder}.{precision}.onnx"
            made.append(write_network(path, precision, matrix))
    return made


@pytest.fixture
def fleet(monkeypatch, tmp_path):
    """Put fake devices in place of those that are asked for, and leave out the warming up."""
    plan = Plan(seconds=0.05, rounds=10, warm_up=0)
    monkeypatch.setattr(BenchmarkOptions, "plan", lambda self: plan)

    def set_up(**lose_after):
        settings = [
            DeviceSettings(name, f"fake://{name}", folder=str(tmp_path / f"at-{name}"))
            for name in lose_after
        ]
        monkeypatch.setattr(module, "_settings", lambda options: settings)
        monkeypatch.setattr(
            module, "open_device", lambda each: FakeDevice(each, lose_after[each.name])
        )

    return set_up


def started(artifacts, file, duration):
    """A command line that runs in a process of its own."""
    options = ["--threads", "1", "--duration", duration, "--json", str(file)]
    return [sys.executable, "-m", "edgeferry", "benchmark", *map(str, artifacts), *options]


SLICE = {"nanoseconds": [1], "pictures": [], "seconds": 1.0, "temperature_c": None}
SLICE |= {"clock_mhz": None, "throttled": None, "joules": None}


def validated(document):
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    return document


def test_every_device_measures_every_artifact(artifacts, fleet):
    fleet(a=None, b=None)
    report = benchmark(artifacts, QUICK)
    validated(report.document())
    assert [(each.extra["device"], each.artifact) for each in report.results] == [
        (device, path.name) for device in "ab" for path in artifacts
    ]
    assert [verdict.device for verdict in report.verdicts] == ["a", "b"]
    assert all(result.ratio_to_fp32 for result in report.results if result.precision == "int8")


def test_a_device_that_dies_takes_nothing_from_the_others(artifacts, fleet, capfd, tmp_path):
    fleet(good=None, dying=IN_SECOND_GROUP)
    file = tmp_path / "results.json"
    asked = ["--threads", "1", "--duration", "0.05", "--json", str(file)]
    assert run(["benchmark", *map(str, artifacts), *asked]) == 1
    document = validated(json.loads(file.read_text()))
    by_device = {
        name: [each for each in document["results"] if each["device"] == name]
        for name in ("good", "dying")
    }
    assert len(by_device["good"]) == 5
    assert [each["artifact"] for each in by_device["dying"]] == ["one.fp32.onnx", "one.int8.onnx"]
    left = [f"dying: two.{precision}.onnx" for precision in ("fp32", "fp16", "int8")]
    assert list(document["failures"]) == left
    assert not document["complete"]
    assert "dying was lost" in capfd.readouterr().err


def test_what_a_lost_device_had_measured_is_kept_and_the_rest_resumed(artifacts, fleet, tmp_path):
    journal = Journal(tmp_path / "results.json")
    fleet(a=IN_SECOND_GROUP)
    benchmark(artifacts, QUICK, journal=journal)
    before = validated(json.loads(journal.path.read_text()))
    fleet(a=None)
    earlier = read_earlier(journal.path, QUICK.asked())
    after = benchmark(artifacts, QUICK, journal=journal, earlier=earlier).document()
    validated(after)
    assert after["complete"]
    assert len(after["results"]) == 5
    assert after["results"][:2] == before["results"]
    assert after["started"] == before["started"]
    assert validated(json.loads(journal.path.read_text())) == after


def test_turns_of_what_is_not_complete_are_kept_raw(artifacts, fleet, tmp_path):
    journal = Journal(tmp_path / "results.json")
    fleet(a=IN_SECOND_GROUP)
    benchmark(artifacts, QUICK, journal=journal)
    unfinished = validated(json.loads(journal.path.read_text()))["unfinished"]
    assert [turn["artifact"] for turn in unfinished] == [path.name for path in artifacts[2:]]
    assert all(
        ns > 0 for turn in unfinished for each in turn["slices"] for ns in each["nanoseconds"]
    )


def test_nothing_measured_anywhere_is_an_error(artifacts, fleet):
    fleet(a=0, b=0)
    with pytest.raises(DeviceError, match="a was lost; b was lost"):
        benchmark(artifacts, QUICK)


def test_a_client_that_is_killed_leaves_its_results_and_no_process(artifacts, tmp_path):
    file = tmp_path / "results.json"
    client = subprocess.Popen(
        started(artifacts, file, "0.2"),
        stderr=subprocess.DEVNULL,
    )
    with client:
        wait_until(lambda: file.exists() and len(json.loads(file.read_text())["results"]) == 2)
        client.send_signal(signal.SIGKILL)
    wait_until(lambda: not marked_processes("edgeferry.devices."), "the agent lives on")
    before = validated(json.loads(file.read_text()))
    assert not before["complete"]
    asked = ["--threads", "1", "--duration", "0.2", "--json", str(file), "--resume"]
    assert run(["benchmark", *map(str, artifacts), *asked]) == 0
    after = validated(json.loads(file.read_text()))
    assert after["complete"]
    assert after["results"][:2] == before["results"]
    assert len(after["results"]) == 5


def test_an_interrupted_client_ends_with_its_processes(artifacts, tmp_path):
    file = tmp_path / "results.json"
    client = subprocess.Popen(
        started(artifacts, file, "50"),
        stderr=subprocess.PIPE,
        text=True,
    )
    with client:
        wait_until(lambda: any(_is_worker(pid) for pid in descendants(client.pid)))
        client.send_signal(signal.SIGINT)
        _, said = client.communicate(timeout=30)
    assert client.returncode == 130
    assert "Traceback" not in said
    wait_until(lambda: not marked_processes("edgeferry.devices."), "the agent lives on")
    validated(json.loads(file.read_text()))


def _is_worker(pid):
    return pid in marked_processes("edgeferry.devices.worker")


def test_another_run_is_not_resumed(artifacts, tmp_path, fleet):
    journal = Journal(tmp_path / "results.json")
    fleet(a=None)
    benchmark(artifacts[:2], QUICK, journal=journal)
    with pytest.raises(UsageError, match="threads 1"):
        read_earlier(journal.path, replace(QUICK, threads=2).asked())
    with pytest.raises(UsageError, match="nothing to resume"):
        read_earlier(tmp_path / "gone.json", QUICK.asked())
    journal.path.write_text("{}")
    with pytest.raises(UsageError, match="no benchmark that can be resumed"):
        read_earlier(journal.path, QUICK.asked())


def test_a_changed_artifact_is_measured_anew(artifacts, fleet, tmp_path, write_network, matrix):
    journal = Journal(tmp_path / "results.json")
    fleet(a=None)
    first = benchmark(artifacts[:2], QUICK, journal=journal).document()["results"]
    write_network(artifacts[1], "int8", matrix + np.float32(1))
    earlier = read_earlier(journal.path, QUICK.asked())
    fleet(a=None)
    second = benchmark(artifacts[:2], QUICK, earlier=earlier).document()["results"]
    assert second[1]["sha256"] != first[1]["sha256"]
    assert second[0]["timings_ns"] != first[0]["timings_ns"], "its twin was measured beside it"


def test_the_sustained_run_is_reported_and_resumed_by_itself(
    artifacts, fleet, tmp_path, monkeypatch
):
    journal = Journal(tmp_path / "results.json")
    fleet(a=IN_SECOND_SUSTAINED)
    plan = Plan(seconds=0.05, rounds=10, warm_up=0, sustained=0.3)
    monkeypatch.setattr(BenchmarkOptions, "plan", lambda self: plan)
    benchmark(artifacts[:2], QUICK, journal=journal)
    before = validated(json.loads(journal.path.read_text()))
    whole, half = before["results"]
    assert whole["sustained"]["seconds"] >= 0.3
    assert len(whole["sustained"]["curve"]) == len(whole["sustained"]["timings_ns"]) == 10
    curve = whole["sustained"]["curve"]
    first = np.concatenate(
        whole["sustained"]["timings_ns"][:1]
        + [
            ns
            for ns, at in zip(whole["sustained"]["timings_ns"][1:], curve[1:], strict=True)
            if at["seconds"] <= curve[-1]["seconds"] / 2
        ]
    )
    assert whole["sustained"]["first_p50_ms"] == pytest.approx(np.median(first) / 1e6)
    ratio = whole["sustained"]["last_p50_ms"] / whole["sustained"]["first_p50_ms"]
    assert whole["sustained"]["last_to_first"] == pytest.approx(ratio)
    assert half["sustained"] is None
    assert before["unfinished"][0]["artifact"] == half["artifact"]
    fleet(a=None)
    monkeypatch.setattr(BenchmarkOptions, "plan", lambda self: plan)
    after = benchmark(artifacts[:2], QUICK, earlier=read_earlier(journal.path, QUICK.asked()))
    again = validated(after.document())["results"]
    assert again[0] == whole
    assert again[1]["sustained"] is not None
    assert again[1]["timings_ns"] == half["timings_ns"]


def test_where_the_journal_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert journal_path("results.json").name == "results.json"
    for option in (None, "-"):
        assert journal_path(option) == tmp_path / "edgeferry" / "benchmark.json"


@pytest.mark.parametrize(
    "event",
    [
        Event("slice", 7, {"round": 0, "slice": {"nanoseconds": [1], "pictures": []}}),
        Event("slice", 0, {}),
        Event("slice", 0, {"slice": {"nanoseconds": "many", "pictures": []}}),
        Event("slice", 0, {"slice": SLICE | {"nanoseconds": []}}),
        Event("slice", 0, {"slice": SLICE | {"nanoseconds": [0]}}),
        Event("slice", 0, {"slice": SLICE | {"joules": "x"}}),
        Event("slice", 0, {"slice": SLICE | {"seconds": "soon"}}),
        Event("measured", 0, {"options": {}, "run": {}}),
        Event("facts", None, {"when": "before"}),
        Event("failed", 0, {"error": {"type": "EngineError"}}),
    ],
)
def test_a_device_that_tells_nonsense_is_named(event, artifacts):
    from edgeferry.app.group_run import GroupRun
    from edgeferry.artifact import find_artifacts

    found = find_artifacts(artifacts[:2])
    with pytest.raises(DeviceError, match="pi told nonsense"):
        GroupRun("pi", False, found).hear(found, event)


def test_a_device_that_is_named_twice_is_measured_once(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path))
    (tmp_path / "devices.toml").write_text('[pi]\naddress = "local"\n')
    options = replace(QUICK, devices=("pi", "pi"))
    assert [settings.name for settings in module._settings(options)] == ["pi"]


def test_a_device_lost_in_the_sustained_run_is_a_failure(artifacts, fleet, monkeypatch):
    fleet(a=IN_SECOND_SUSTAINED)
    plan = Plan(seconds=0.05, rounds=10, warm_up=0, sustained=0.3)
    monkeypatch.setattr(BenchmarkOptions, "plan", lambda self: plan)
    report = benchmark(artifacts[:2], QUICK)
    assert list(report.failures) == [artifacts[1].name]
    assert "a was lost" in report.failures[artifacts[1].name]


def test_a_device_lost_after_its_last_result_is_told(artifacts, fleet):
    fleet(a=23)
    report = benchmark(artifacts[:2], QUICK)
    assert len(report.results) == 2
    assert list(report.failures) == ["a"]


def test_what_the_earlier_run_knew_of_other_devices_stays(artifacts, fleet, tmp_path):
    journal = Journal(tmp_path / "results.json")
    fleet(a=None, b=None)
    both = benchmark(artifacts[:2], QUICK, journal=journal).document()
    fleet(b=None)
    earlier = read_earlier(journal.path, QUICK.asked())
    resumed = validated(benchmark(artifacts[:2], QUICK, earlier=earlier).document())
    order = [(each["device"], each["artifact"]) for each in both["results"]]
    found = {(each["device"], each["artifact"]): each for each in resumed["results"]}
    assert [found[key] for key in order] == both["results"]
    assert {each["name"]: each for each in resumed["devices"]} == {
        each["name"]: each for each in both["devices"]
    }


def test_a_result_stays_until_its_group_is_measured_anew(artifacts, fleet, tmp_path):
    journal = Journal(tmp_path / "results.json")
    fleet(a=None)
    before = benchmark(artifacts[:2], QUICK, journal=journal).document()
    before["results"].pop()
    journal.path.write_text(json.dumps(before))
    fleet(a=0)
    earlier = read_earlier(journal.path, QUICK.asked())
    benchmark(artifacts[:2], QUICK, journal=journal, earlier=earlier)
    assert json.loads(journal.path.read_text())["results"] == before["results"]


def test_a_name_that_means_another_machine_is_not_resumed(artifacts, fleet, tmp_path):
    journal = Journal(tmp_path / "results.json")
    fleet(a=None)
    document = benchmark(artifacts[:2], QUICK, journal=journal).document()
    document["devices"][0]["address"] = "ssh://elsewhere"
    journal.path.write_text(json.dumps(document))
    earlier = read_earlier(journal.path, QUICK.asked())
    with pytest.raises(UsageError, match="ssh://elsewhere"):
        benchmark(artifacts[:2], QUICK, earlier=earlier)


def test_without_a_place_for_the_journal_work_goes_on(artifacts, fleet, tmp_path, capfd):
    fleet(a=None)
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "results.json")
    assert len(benchmark(artifacts[:2], QUICK, journal=journal).results) == 2
    assert "journal" in journal.problem


def test_a_fault_of_ours_on_one_device_spares_the_others(artifacts, fleet, monkeypatch):
    from edgeferry.app.device_benchmark import DeviceBenchmark

    genuine = DeviceBenchmark._job

    def faulty(self, run, artifacts):
        if self.device.name == "b":
            raise ZeroDivisionError("oops")
        return genuine(self, run, artifacts)

    monkeypatch.setattr(DeviceBenchmark, "_job", faulty)
    fleet(a=None, b=None)
    report = benchmark(artifacts[:2], QUICK)
    assert [each.extra["device"] for each in report.results] == ["a", "a"]
    assert all("ZeroDivisionError" in text for text in report.failures.values())
