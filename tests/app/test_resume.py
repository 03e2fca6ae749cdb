"""Runs that were interrupted go on, and give what one gives that was left alone."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from crash.trials import BundleTrial, ExportTrial, digests
from device_ends.processes import wait_until

from edgeferry.app import evaluation_record, export
from edgeferry.app.accuracy_control import Attempt
from edgeferry.app.cli import run
from edgeferry.app.control_data import control_data
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.evaluation_record import begin_record
from edgeferry.app.export_journal import ArtifactFacts
from edgeferry.app.export_options import ControlReport, ExportedArtifact, ExportReport
from edgeferry.app.lock import unheard
from edgeferry.app.results import Result
from edgeferry.contract import ControlInfo
from edgeferry.errors import UsageError
from edgeferry.exporters.recipes import INT8


class Interrupted(BaseException):
    """As Ctrl-C, or anything that ends a run."""


@pytest.fixture
def colors(tmp_path, write_network, matrix):
    """Three artifacts: one reference and two to compare with it."""
    shades = {"fp32": 0, "fp16": 0.001, "int8": 0.01}
    return [
        write_network(tmp_path / f"colors.{name}.onnx", name, matrix + shade)
        for name, shade in shades.items()
    ]


def judged(told):
    """The artifacts that a progress was told of."""
    return list(dict.fromkeys(step.removeprefix("evaluating ") for step, *_ in told))


def interrupted_evaluation(colors, pictures, file):
    """An evaluation that is interrupted at its last artifact."""
    options = EvaluationOptions(pictures)

    def progress(step, done, total):
        if "int8" in step:
            raise Interrupted

    record = begin_record(file, options, False, unheard)
    with pytest.raises(Interrupted):
        evaluate(colors, options, progress, record)
    return options


def test_an_evaluation_goes_on_with_what_is_not_judged(colors, pictures, tmp_path):
    file = tmp_path / "results.json"
    (pictures / "red" / "broken.png").write_bytes(b"no picture")
    options = interrupted_evaluation(colors, pictures, file)
    before = json.loads(file.read_text())
    assert not before["complete"]
    assert [each["precision"] for each in before["results"]] == ["fp32", "fp16"]
    told = []
    record = begin_record(file, options, True, unheard)
    after = evaluate(colors, options, lambda *step: told.append(step), record).document()
    assert judged(told) == ["colors.fp32.onnx", "colors.int8.onnx"], "the reference answers again"
    alone = evaluate(colors, options, record=begin_record(file, options, False, unheard))
    assert after == alone.document()
    assert after["skipped"] == 1


def test_an_evaluation_that_is_done_is_not_judged_again(colors, pictures, tmp_path, capfd):
    file = tmp_path / "results.json"
    asked = ["evaluate", *map(str, colors), "--images", str(pictures), "--json", str(file)]
    (pictures / "red" / "broken.png").write_bytes(b"no picture")
    assert run(asked) == 0
    first = json.loads(file.read_text())
    told = []
    options = EvaluationOptions(pictures)
    record = begin_record(file, options, True, unheard)
    again = evaluate(colors, options, lambda *step: told.append(step), record)
    assert told == []
    assert again.document() == {**first, "tool": again.document()["tool"]}


@pytest.mark.parametrize("change", ["artifact", "reference", "pictures", "options"])
def test_what_changed_meanwhile_is_judged_anew_or_refused(
    change, colors, pictures, tmp_path, write_network, matrix
):
    file, told = tmp_path / "results.json", []
    options = interrupted_evaluation(colors, pictures, file)
    if change == "artifact":
        write_network(colors[1], "fp16", matrix + 0.002)
    if change == "reference":
        write_network(colors[0], "fp32", matrix + 0.003)
    if change == "pictures":
        (pictures / "red" / "0.png").unlink()
    if change == "options":
        options = EvaluationOptions(pictures, runtime="openvino")
    if change in ("pictures", "options"):
        with pytest.raises(
            UsageError, match="images sha256" if change == "pictures" else "runtime"
        ):
            begin_record(file, options, True, unheard)
        return
    record = begin_record(file, options, True, unheard)
    evaluate(colors, options, lambda *step: told.append(step), record)
    assert "colors.fp16.onnx" in judged(told)


def test_another_engine_does_not_go_on_with_an_evaluation(colors, pictures, tmp_path, monkeypatch):
    options = interrupted_evaluation(colors, pictures, tmp_path / "results.json")
    monkeypatch.setattr(
        evaluation_record, "version", lambda name: "0" if name == "onnxruntime" else version(name)
    )
    with pytest.raises(UsageError, match=r'with onnxruntime "[\d.]+", not "0"'):
        begin_record(tmp_path / "results.json", options, True, unheard)


def test_answers_that_a_killed_evaluation_left_go_with_the_next(colors, pictures, tmp_path):
    """They lie beside the results, and not in the system's folder for temporary files."""
    file, seen = tmp_path / "results.json", []
    left = tmp_path / ".results.json.partial" / "work-killed" / "0.f32"
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(8))

    def progress(*step):
        seen.extend(tmp_path.glob(".results.json.partial/*/*"))

    options = EvaluationOptions(pictures)
    evaluate(colors, options, progress, begin_record(file, options, False, unheard))
    assert {each.name for each in seen} == {"0.f32"}
    assert left not in seen
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("command", ["evaluate", "benchmark"])
def test_one_that_was_killed_before_it_wrote_anything_begins(
    command, colors, pictures, tmp_path, capfd
):
    file = tmp_path / "results.json"
    more = {"evaluate": ["--images", str(pictures)], "benchmark": ["--duration", "0.05"]}[command]
    asked = [command, str(colors[0]), *more, "--json", str(file), "--resume"]
    assert run(asked) == 0
    assert "nothing to resume" in capfd.readouterr().err
    assert json.loads(file.read_text())["complete"]


@pytest.mark.parametrize("content", ["", "[]", '{"results": ["x"]}', '{"schema_version": 1}'])
def test_a_file_that_holds_no_evaluation_is_not_gone_on_with(
    content, colors, pictures, tmp_path, capfd
):
    file = tmp_path / "results.json"
    file.write_text(content)
    asked = ["evaluate", str(colors[0]), "--images", str(pictures), "--json", str(file)]
    assert run([*asked, "--resume"]) == 2
    assert "no evaluation that can be resumed" in capfd.readouterr().err
    assert file.read_text() == content


def test_what_accuracy_control_tried_is_known_again():
    info = ControlInfo(max_drop=1.0, drop=0.5, measure="top1", images=40, attempts=2)
    recipes = INT8, replace(INT8, equalize=True, float_layers=("conv1",), control=info)
    attempts = tuple(
        Attempt(
            recipe,
            "minmax",
            Path("/scratch/1.int8.onnx"),
            Result("1.int8.onnx", "onnx", "int8", "onnxruntime", 40, 97.5, extra={"seen": [1]}),
            drop=0.1,
            holds=bool(recipe.equalize),
            seconds=1.5,
        )
        for recipe in recipes
    )
    report = ControlReport(attempts, attempts[1], ("conv1",), ("mse: it failed",), "none holds")
    facts = ArtifactFacts(2.5, {"conv1": 0.1}, report, ["few pictures"])
    again = ArtifactFacts.from_dict(json.loads(json.dumps({**facts.to_dict(), "files": {}})))
    assert control_data({"a": again.control}) == control_data({"a": report})
    assert again.control.chosen.recipe == recipes[1]
    assert again.control.failure == report.failure
    assert replace(again, control=None) == replace(facts, control=None)


def test_results_that_go_nowhere_cannot_be_resumed(colors, pictures, capfd):
    assert run(["evaluate", str(colors[0]), "--images", str(pictures), "--resume"]) == 2
    assert "--json FILE" in capfd.readouterr().err


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder with stand-ins of all wheels that a Raspberry Pi needs, where pip finds them."""
    from edgeferry.devices.profile import profile_named
    from edgeferry.devices.wheels import PIP

    folder = tmp_path / "index"
    folder.mkdir()
    for pin in (*profile_named("raspberry-pi-4").requirements("openvino"), PIP):
        made_wheel(folder, *pin.split("=="))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def made_wheel(folder, name, version):
    import zipfile

    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")


def test_a_killed_bundle_uses_the_wheels_again_that_it_had(index, colors, tmp_path):
    asked = ["bundle", str(colors[0]), "--device", "raspberry-pi-4", "--offline"]
    asked += ["--runtime", "openvino"]
    alone = BundleTrial(tmp_path / "alone", asked)
    assert alone.run()[0] == 0
    trial = BundleTrial(tmp_path / "killed", asked)
    killed, _ = trial.kill(lambda seconds: trial.finished() >= 1)
    assert killed
    assert trial.visible() == []
    for wheel in trial.finished_files():
        (index / wheel).unlink()
    code, said = trial.run("--resume")
    assert code == 0, said
    assert trial.state() == alone.state()
    assert (trial.visible(), trial.hidden()) == ([trial.output], [])


class Killed:
    """An export of the small network, killed when three artifacts were finished."""

    def __init__(self, exported, folder):
        asked = ["export", str(exported.keras_path), "--preprocessing", "tf"]
        asked += ["--resize", "squash", "--calibration", str(exported.calibration)]
        asked += ["--calibration-count", "64", "--labels", str(folder / "labels.txt")]
        (folder / "labels.txt").write_text("\n".join(exported.labels) + "\n")
        self.trial = ExportTrial(folder / "trial", asked)
        self.second: subprocess.CompletedProcess | None = None
        self.was_killed, self.lived_on = self.trial.kill(self.ready)
        self.finished = self.trial.finished()

    def ready(self, seconds):
        lock = self.trial.folder / ".out.lock"
        if self.second is None and lock.exists() and lock.stat().st_size:
            line = [sys.executable, "-m", "edgeferry", *self.trial._command]
            line += ["-o", str(self.trial.folder / "out")]
            self.second = subprocess.run(line, capture_output=True, text=True)
        return self.trial.finished() >= 3


@pytest.fixture(scope="module")
def killed(exported, tmp_path_factory):
    return Killed(exported, tmp_path_factory.mktemp("killed"))


def test_of_two_exports_into_one_folder_the_second_is_told_at_once(killed):
    assert killed.second.returncode == 2
    assert "is being written by edgeferry export (process " in killed.second.stderr
    assert "Traceback" not in killed.second.stderr


def test_a_killed_export_leaves_nothing_under_a_final_name_and_no_process(killed):
    assert killed.was_killed
    assert killed.trial.visible() == []
    assert killed.trial.hidden() == [".out.lock", ".out.partial"]
    assert killed.lived_on < 30


def test_it_is_not_resumed_with_other_options(killed, capfd):
    output = str(killed.trial.folder / "out")
    assert run([*killed.trial._command, "-o", output, "--resume", "--seed", "5"]) == 2
    assert "seed 0, not 5" in capfd.readouterr().err
    assert killed.trial.finished() == killed.finished


def test_resumed_it_gives_the_same_bytes_as_one_that_was_left_alone(killed, exported, capfd):
    trial = killed.trial
    code, said = trial.run("--resume")
    assert code == 0, said
    assert f"{killed.finished} finished by an earlier run" in said
    assert trial.state() == digests(exported.folder)
    assert (trial.visible(), trial.hidden()) == (["out"], [])


def test_what_is_whole_already_is_left_as_it_is(killed, exported):
    """A run may be killed after its last step; whoever resumes it need not know."""
    trial = killed.trial
    if trial.visible() != ["out"]:
        pytest.skip("the export was not resumed")
    before = (trial.folder / "out").stat().st_mtime_ns
    code, said = trial.run("--resume")
    assert (code, "nothing was left to do" in said) == (0, True), said
    assert (trial.folder / "out").stat().st_mtime_ns == before
    code, said = trial.run("--resume", "--seed", "5")
    assert code == 2
    assert "not empty" in said


def test_what_other_tools_made_is_not_taken_for_whole(contract, tmp_path, monkeypatch):
    made = replace(contract, versions={"edgeferry": "0.0.1"})
    whole = ExportReport((ExportedArtifact(tmp_path / "net.onnx", "onnx", "fp32", 1, None),))
    monkeypatch.setattr("edgeferry.app.export_journal.read_contract", lambda path: made)
    monkeypatch.setattr(export, "read_export", lambda *given: whole)
    monkeypatch.setattr(export._Export, "_prepared", lambda self: (None, None))
    run = export._Export("", None, SimpleNamespace(asked={}), None, None, None)
    with pytest.raises(UsageError, match=r"net.onnx was made with edgeferry 0\.0\.1"):
        run.found(tmp_path)


def test_a_worker_ends_with_the_process_that_asks(tmp_path):
    script = (
        "import os, signal\nfrom edgeferry.exporters.processes import Worker\n"
        "worker = Worker('source')\nprint(worker._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    pid = done.stdout.strip()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe"), "the worker lives on")
