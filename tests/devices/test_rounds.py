"""Measuring in processes of their own: what comes back, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edgeferry.artifact import find_artifacts
from edgeferry.devices import rounds
from edgeferry.devices.layer_timing import LayerTiming
from edgeferry.devices.measurement import Plan, Run, Trial
from edgeferry.devices.rounds import Instruments, fits, measure_group
from edgeferry.devices.worker_process import WorkerInside, WorkerProcess
from edgeferry.errors import EngineError, UsageError
from edgeferry.runtimes.layer_times import LayerTime
from edgeferry.runtimes.registry import choose_runtime

QUICK = Plan(seconds=0.04, rounds=4, warm_up=0)
NO_LAYERS = {"profiler": "", "runs": 1, "layers": [], "problem": ""}
FORMATS = ("tflite", "onnx", "openvino")


def trials_of(exported, model_format):
    """One trial for each precision, fp32 first, on one thread."""
    runtime = choose_runtime(model_format)
    found = [each for each in find_artifacts([exported.folder]) if each.format == model_format]
    return [Trial(str(artifact.path), runtime, threads=1) for artifact in found]


def measured(trials, plan=QUICK, start=WorkerProcess, taken=lambda *_: None):
    """Measure with this machine's instruments."""
    return measure_group(trials, plan, Instruments(start), taken)


def state(pid: int) -> str:
    """The state letter that Linux gives a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


class Workers(list):
    """Every worker process that is started."""

    def start(self, trial):
        self.append(WorkerProcess(trial))
        return self[-1]


@pytest.fixture
def workers():
    return Workers()


@pytest.mark.parametrize("model_format", FORMATS)
def test_every_artifact_of_a_group_is_measured_in_every_round(exported, model_format, workers):
    trials, turns = trials_of(exported, model_format), []
    found, failures = measured(trials, QUICK, workers.start, lambda *turn: turns.append(turn))
    assert not failures
    assert [each.trial for each in found] == trials
    assert len(workers) == len(trials)
    for each in found:
        assert len(each.rounds) == QUICK.rounds
        assert all(taken > 0 for timings in each.rounds for taken in timings)
        assert all(taken > 0 for turn in each.slices for taken in turn.pictures)
        assert [turn for trial, _, turn in turns if trial == each.trial] == list(each.slices)
        assert each.run.load_ms > 0 < each.run.first_ms
        assert each.run.peak_rss_mb > 20
        assert (each.run.threads, each.run.resident, each.run.batch) == (1, True, 1)
    assert [each.run.executed for each in found][::2] == ["fp32", "int8"]
    times = [turn.seconds for _, _, turn in turns]
    assert times == sorted(times)


def test_others_are_stopped_while_one_runs(exported, workers, monkeypatch):
    genuine, seen = WorkerProcess.ask, []

    def ask(self, command):
        if command["do"] == "measure":
            others = [each for each in workers if each is not self]
            seen.extend(state(each._process.pid) for each in others)
        return genuine(self, command)

    monkeypatch.setattr(WorkerProcess, "ask", ask)
    measured(trials_of(exported, "onnx"), QUICK, workers.start)
    assert set(seen) <= {"T", ""}
    assert seen.count("T") >= 12


def test_short_memory_gives_each_round_fresh_processes(exported, workers, monkeypatch):
    monkeypatch.setattr(rounds, "available_memory", lambda: 2**20)
    trials = trials_of(exported, "onnx")[:2]
    found, _ = measured(trials, replace(QUICK, rounds=2), workers.start)
    assert len(workers) == 4
    assert not any(each.run.resident for each in found)
    assert [len(each.rounds) for each in found] == [2, 2]


def test_what_fits_is_judged_by_size(exported):
    trials = trials_of(exported, "onnx")
    assert fits(trials, 8 * 2**30)
    assert not fits(trials, 300 * 2**20)
    assert fits(trials[:1], 300 * 2**20)


def test_one_that_fails_does_not_lose_the_others(exported, tmp_path):
    good = trials_of(exported, "onnx")[0]
    copy = tmp_path / "gone.onnx"
    copy.write_bytes(Path(good.path).read_bytes())
    bad = replace(good, path=str(copy), engine_device="AbacusExecutionProvider")
    found, failures = measured([good, bad])
    assert [each.trial for each in found] == [good]
    assert isinstance(failures[bad], UsageError)
    assert "Abacus" in str(failures[bad])


def test_an_unknown_setting_of_an_engine_is_refused(exported):
    bad = replace(trials_of(exported, "onnx")[0], settings=(("spinning", "fast"),))
    _, failures = measured([bad])
    assert "spinning=on|off" in str(failures[bad])


def test_a_worker_inside_the_agent_does_the_same(exported):
    (trial, *_) = trials_of(exported, "onnx")
    found, failures = measured([trial], replace(QUICK, rounds=2), WorkerInside)
    assert not failures
    assert [len(each.slices) for each in found] == [2]
    assert found[0].run.executed == "fp32"
    bad = replace(trial, engine_device="AbacusExecutionProvider")
    _, failures = measured([bad], QUICK, WorkerInside)
    assert isinstance(failures[bad], UsageError)


def test_a_process_that_is_killed_is_a_failure_of_its_own(exported, workers, monkeypatch):
    genuine = WorkerProcess.ask

    def ask(self, command):
        if command["do"] == "measure" and workers.index(self) == 1:
            os.kill(self._process.pid, signal.SIGKILL)
        return genuine(self, command)

    monkeypatch.setattr(WorkerProcess, "ask", ask)
    trials = trials_of(exported, "onnx")[:2]
    found, failures = measured(trials, QUICK, workers.start)
    assert [each.trial for each in found] == trials[:1]
    assert isinstance(failures[trials[1]], EngineError)
    assert "signal 9" in str(failures[trials[1]])
    assert all(state(each._process.pid) == "" for each in workers)


@pytest.mark.parametrize("start", [WorkerProcess, WorkerInside])
def test_layers_are_timed_where_that_is_asked_for(exported, start):
    trial = trials_of(exported, "onnx")[0]
    (plain,), _ = measured([trial], replace(QUICK, rounds=1), start)
    assert plain.run.layers is None
    (found,), _ = measured([trial], replace(QUICK, rounds=1, profile=True), start)
    timing = found.run.layers
    assert (timing.runs, timing.problem) == (10, "")
    assert sum(layer.microseconds for layer in timing.layers) > 0
    assert Run.from_dict(json.loads(json.dumps(asdict(found.run)))) == found.run


def test_a_profiler_that_ends_the_process_costs_the_times_of_layers_alone(
    exported, workers, monkeypatch
):
    genuine = WorkerProcess.ask

    def ask(self, command):
        if command["do"] == "profile":
            os.kill(self._process.pid, signal.SIGILL)
        return genuine(self, command)

    monkeypatch.setattr(WorkerProcess, "ask", ask)
    plan = replace(QUICK, rounds=1, profile=True)
    (found,), failures = measured(trials_of(exported, "onnx")[:1], plan, workers.start)
    assert not failures
    assert found.rounds[0]
    assert found.run.layers.layers == ()
    assert "signal 4" in found.run.layers.problem


@pytest.mark.parametrize(
    "wrong",
    [{"microseconds": -1.0}, {"microseconds": "1"}, {"originals": [1]}, {"name": None}],
)
def test_times_of_layers_that_are_none_are_refused(wrong):
    layer = asdict(LayerTime("a", "Conv", "Conv", "fp32", 1.0))
    assert LayerTiming.from_dict({**NO_LAYERS, "layers": [layer]}).layers[0].name == "a"
    with pytest.raises(ValueError, match=r"no (time|text|number)"):
        LayerTiming.from_dict({**NO_LAYERS, "layers": [{**layer, **wrong}]})


def test_an_error_leaves_no_process_behind(exported, workers):
    turns = []

    def interrupted(*turn):
        turns.append(turn)
        if len(turns) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(trials_of(exported, "onnx"), QUICK, workers.start, interrupted)
    assert workers
    assert all(state(each._process.pid) == "" for each in workers)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends children with their parent")
def test_a_killed_parent_takes_stopped_workers_with_it(exported):
    trial = trials_of(exported, "onnx")[0]
    program = (
        "import json, sys\n"
        "from edgeferry.devices.measurement import Trial\n"
        "from edgeferry.devices.worker_process import WorkerProcess\n"
        "worker = WorkerProcess(Trial.from_dict(json.loads(sys.argv[1])))\n"
        "worker.ask({'do': 'open'})\n"
        "worker.pause()\n"
        "print(worker._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(trial.to_dict())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        worker = int(parent.stdout.readline())
        assert state(worker) == "T"
        parent.kill()
    deadline = time.monotonic() + 10
    while state(worker) not in ("", "Z") and time.monotonic() < deadline:
        os.sched_yield()
    assert state(worker) in ("", "Z")


def test_warming_up_ends_when_latencies_no_longer_fall(exported):
    from edgeferry.devices.worker import Bench

    bench = Bench(trials_of(exported, "onnx")[0])
    falling = iter([9, 9, 9, 6, 6, 6, 4, 4, 4, 4, 4, 4, 1, 1, 1])
    bench._timed = lambda: next(falling) * 10**8
    assert bench.warm_up(60) == {"inferences": 12, "steady": True}
    bench._timed = lambda: next(falling) * 10**8
    assert bench.warm_up(0) == {"inferences": 3, "steady": False}
