"""The agent: a job in, events out, on a device that it is sent to."""

import sys
from dataclasses import replace

import pytest

from edgeferry.artifact import artifact_files, find_artifacts
from edgeferry.devices.agent import Agent
from edgeferry.devices.agent_client import AgentClient
from edgeferry.devices.device import Command, Completed, DeviceSettings
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.job import Event, Job, read_event
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.measurement import Plan, Slice, Trial
from edgeferry.devices.rounds import Instruments
from edgeferry.devices.worker_process import WorkerInside
from edgeferry.errors import DeviceError, DeviceLostError

QUICK = Plan(seconds=0.04, rounds=2, warm_up=0)


@pytest.fixture
def device(tmp_path):
    with FakeDevice(DeviceSettings("fake", folder=str(tmp_path / "device"))) as made:
        yield made


def placed(device, exported, model_format="onnx"):
    """Trials of one format, whose artifacts were sent to a device."""
    found = [each for each in find_artifacts([exported.folder]) if each.format == model_format]
    return [Trial(device.place(artifact_files(each.path))[0], threads=1) for each in found]


def events_of(device, job):
    heard = []
    with AgentClient(device) as client:
        client.measure(job, heard.append)
    return heard


def test_a_job_is_done_and_told_event_by_event(device, exported):
    job = Job(placed(device, exported), QUICK)
    events = events_of(device, job)
    kinds = [event.kind for event in events]
    assert kinds == ["facts", *["slice"] * 6, *["measured"] * 3, "facts", "done"]
    assert [event.content["when"] for event in events if event.kind == "facts"] == [
        "before",
        "after",
    ]
    slices = [Slice.from_dict(each.content["slice"]) for each in events if each.kind == "slice"]
    assert all(ns > 0 for turn in slices for ns in (*turn.nanoseconds, *turn.pictures))
    run = next(event for event in events if event.kind == "measured").content["run"]
    assert (run["engine"], run["executed"], run["batch"]) == ("onnxruntime", "fp32", 1)


def test_layers_are_timed_on_the_device(device, exported):
    for model_format in ("tflite", "onnx", "openvino"):
        trials = placed(device, exported, model_format)[:1]
        events = events_of(device, Job(trials, replace(QUICK, rounds=1, profile=True)))
        (run,) = (event.content["run"] for event in events if event.kind == "measured")
        kinds = [layer["kind"] for layer in run["layers"]["layers"]]
        assert kinds.count("Conv") == 7, model_format


def test_openvino_finds_its_weights_beside_it(device, exported):
    kinds = [
        event.kind for event in events_of(device, Job(placed(device, exported, "openvino"), QUICK))
    ]
    assert kinds.count("measured") == 3


def test_it_runs_from_the_wheel_that_is_sent_once(device, exported):
    job = Job(placed(device, exported)[:1], QUICK)
    pushed = []
    genuine = device._push
    device._push = lambda source, name: (pushed.append(name), genuine(source, name))
    events_of(device, job)
    events_of(device, job)
    assert sorted(name.rpartition("/")[2] for name in pushed) == [
        "edgeferry-0.1.0-py3-none-any.whl",
        "job.json",
    ]


def test_it_leaves_nothing_but_what_it_was_sent(device, exported, tmp_path):
    events_of(device, Job(placed(device, exported)[:1], QUICK))
    left = [path for path in (tmp_path / "device").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".whl", ".json", ".onnx"}


def test_without_children_everything_happens_in_the_agent(device, exported):
    job = Job(placed(device, exported)[:1], replace(QUICK, rounds=1), children=False)
    assert [event.kind for event in events_of(device, job)][1:3] == ["slice", "measured"]


def test_one_that_fails_is_told_and_the_others_go_on(device, exported):
    good, bad, _ = placed(device, exported)
    trials = [good, replace(bad, engine_device="AbacusExecutionProvider")]
    events = events_of(device, Job(trials, QUICK))
    assert [event.trial for event in events if event.kind == "measured"] == [0]
    (failed,) = (event for event in events if event.kind == "failed")
    assert failed.trial == 1
    assert "Abacus" in failed.content["error"]["problem"]


def test_sustained_runs_come_after_and_one_at_a_time(device, exported):
    plan = replace(QUICK, sustained=0.5)
    events = events_of(device, Job(placed(device, exported)[:2], plan))
    alone = [event.trial for event in events if event.kind in ("sustaining", "sustained")]
    assert alone == [0] * 11 + [1] * 11
    seconds = [each.content["slice"]["seconds"] for each in events if each.kind == "sustaining"][
        :10
    ]
    assert seconds == sorted(seconds)
    assert seconds[-1] >= 0.5


def test_only_the_sustained_run_can_be_asked_for(device, exported):
    plan = replace(QUICK, rounds=0, sustained=0.1)
    kinds = {event.kind for event in events_of(device, Job(placed(device, exported)[:1], plan))}
    assert kinds == {"facts", "sustaining", "sustained", "done"}


def test_tuning_takes_the_fastest_of_all_ways(exported, device):
    """On made-up times, since real ones vary: 2 threads without spinning are the fastest."""
    (trial, *_) = placed(device, exported)
    trial = replace(trial, path=str(find_artifacts([exported.folder])[3].path), threads=None)
    taken = {(1, "on"): 9, (1, "off"): 8, (2, "on"): 7, (2, "off"): 3, (4, "on"): 5, (4, "off"): 6}

    class Made(WorkerInside):
        def __init__(self, asked):
            self.asked = asked
            super().__init__(replace(asked, threads=1))

        def ask(self, command):
            if command["do"] == "measure":
                threads, settings = self.asked.threads, dict(self.asked.settings)
                return {"nanoseconds": [taken[threads, settings["spinning"]] * 10**6]}
            return super().ask(command)

    ways = [
        replace(trial, runtime="onnxruntime", threads=count, settings=(("spinning", value),))
        for count, value in taken
    ]
    heard = []
    Agent(
        Job([trial], QUICK, tune=True), heard.append, Instruments(Made), ways=lambda _: ways
    ).work()
    (tuned,) = (event.content for event in heard if event.kind == "tuned")
    assert (tuned["best"]["threads"], tuned["best"]["settings"]) == (2, (("spinning", "off"),))
    assert [len(rung) for rung in tuned["rungs"]] == [6, 3]
    assert [each["p50_ms"] for each in tuned["rungs"][0]] == [3, 5, 6, 7, 8, 9]
    (options,) = (event.content["options"] for event in heard if event.kind == "measured")
    assert options["threads"] == 2


def test_ways_are_every_engine_thread_count_and_setting(exported):
    from edgeferry.devices.tuning import candidates

    path = next(path for path in exported.folder.glob("*.fp32.onnx"))
    ways = candidates(Trial(str(path)), cores=6)
    assert {way.runtime for way in ways} == {"onnxruntime", "openvino"}
    assert {way.threads for way in ways} == {1, 2, 4, 6}
    assert {way.settings for way in ways if way.runtime == "onnxruntime"} == {
        (),
        (("spinning", "off"),),
    }
    fixed = candidates(Trial(str(path), "onnxruntime", 2, settings=(("spinning", "off"),)))
    assert fixed == [Trial(str(path), "onnxruntime", 2, settings=(("spinning", "off"),))]


def test_a_device_that_is_lost_in_the_middle_says_so(tmp_path, exported):
    heard = []
    lost = FakeDevice(DeviceSettings("fake", folder=str(tmp_path)), lose_after_lines=4)
    with lost, AgentClient(lost) as client:
        job = Job(placed(lost, exported), QUICK)
        with pytest.raises(DeviceLostError, match="fake was lost"):
            client.measure(job, heard.append)
    assert [event.kind for event in heard][:1] == ["facts"]
    assert len(heard) >= 3


class Scripted(FakeDevice):
    """Answers with what it is given, by a word of the command."""

    answers: dict[str, Completed]

    def _run(self, command: Command, listen):
        text = " ".join(command.arguments)
        done = next((each for word, each in self.answers.items() if word in text), Completed(0))
        for line in done.stdout.splitlines() if listen else ():
            listen(line)
        return done


@pytest.mark.parametrize(
    ("answers", "essence"),
    [
        ({"version_info": Completed(127, "", "sh: python3: not found")}, "has no Python"),
        ({"version_info": Completed(0, "3 9\n")}, r"Python 3.9 on fake is too old"),
        ({"version_info": Completed(0, "welcome\n3 11\n")}, None),
        ({".agent": Completed(1, "", "ModuleNotFoundError: No module named 'numpy'")}, "numpy"),
        ({".agent": Completed(137, "motd\n{\n[1]\nnull\n", "")}, "exit code 137"),
        ({".machine": Completed(0, "no facts", "")}, "no facts"),
    ],
)
def test_what_cannot_measure_is_told_in_one_message(tmp_path, answers, essence):
    device = Scripted(DeviceSettings("fake", folder=str(tmp_path)))
    device.answers = {
        "version_info": Completed(0, "3 12\n"),
        ".agent": Completed(0, '{"event": "done"}'),
        **answers,
    }
    with device, AgentClient(device) as client:
        if essence is None:
            client.measure(Job([], QUICK), lambda event: None)
            return
        with pytest.raises(DeviceError, match=essence):
            client.measure(Job([], QUICK), lambda event: None)
            client.facts()


def test_this_machine_needs_no_wheel(tmp_path):
    device = LocalDevice(DeviceSettings("local", folder=str(tmp_path)))
    with device, AgentClient(device) as client:
        assert client.prepare() == {}
        assert client.facts()["python"] == sys.version.split()[0]
    assert list(tmp_path.rglob("*.whl")) == []


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '{"a": 1}', '{"event": 3}', "\ufffd"])
def test_what_is_no_event_is_passed_over(line):
    assert read_event(line) is None


def test_events_come_back_as_they_were():
    event = Event("slice", 1, {"round": 2})
    assert read_event(event.to_json()) == event
