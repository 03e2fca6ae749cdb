"""``edgeferry benchmark --device`` on real transports: OpenSSH, and adb with a phone's daemon."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import venv
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from device_ends.phone_program import write_program
from device_ends.processes import marked_processes, wait_until
from device_ends.sshd import USER, OpensshServer

from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.artifact import METADATA_NAME, read_contract
from edgeferry.integrity import seal_artifact, unsealed

pytest_plugins = ["device_ends.adb", "device_ends.openssh"]

OTHER = """\
Host other
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {client}/id_ed25519
    UserKnownHostsFile {client}/known_hosts
"""
PHONE_TIMES = {"*.fp32.tflite*": 9000, "*": 3000}


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """Where the user's devices are kept; there are none yet."""
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def artifacts(tmp_path, write_network, matrix):
    """Two groups, measured one after the other; an inference takes about a millisecond."""
    made = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for precision in ("fp32", "int8"):
            path = tmp_path / folder / f"{folder}.{precision}.onnx"
            made.append(slowed_down(write_network(path, precision, matrix)))
    return made


def slowed_down(path):
    """Have a network multiply its logits by large matrices: else its timings are too many."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    random = np.random.default_rng(0)
    for name, shape in (("in", (6, 800)), ("through", (800, 800)), ("out", (800, 6))):
        values = random.normal(0, shape[0] ** -0.5, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    softmax = model.graph.node.pop()
    for number, name in enumerate(["in", *["through"] * 8, "out"]):
        taken, softmax.input[0] = softmax.input[0], f"wide{number}"
        model.graph.node.append(helper.make_node("MatMul", [taken, name], [softmax.input[0]]))
    model.graph.node.append(softmax)
    contract = replace(read_contract(path), integrity=unsealed(files=1))
    helper.set_model_props(model, {METADATA_NAME: contract.to_json()})
    onnx.save(model, path)
    assert seal_artifact(path)
    return path


@pytest.fixture
def edge(openssh):
    """A machine that the user's file knows as ``edge``."""
    add("edge")
    return openssh


@pytest.fixture
def other(edge, tmp_path_factory):
    """A second one, ``other``."""
    with OpensshServer(tmp_path_factory.mktemp("other")) as server:
        with (edge.client / "config").open("a") as file:
            file.write(OTHER.format(port=server.port, user=USER, client=server.client))
        add("other")
        yield server


def add(name, python=sys.executable, *more):
    asked = ["devices", "add", name, f"ssh://{name}", "--python", str(python), *more]
    assert run(asked) == 0


def arguments(artifacts, *options, duration="0.1"):
    quick = ["--threads", "1", "--duration", duration]
    return ["benchmark", *map(str, artifacts), *quick, *map(str, options)]


def read(file):
    """A results document, held to the schema."""
    document = json.loads(file.read_text())
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    return document


def results_of(file, device):
    """Results of a device that are on disk by now."""
    if not file.exists():
        return []
    return [each for each in json.loads(file.read_text())["results"] if each["device"] == device]


def names(artifacts):
    """File names of artifacts, or of those that results are of."""
    return [each["artifact"] if isinstance(each, dict) else each.name for each in artifacts]


def processes_on(server):
    """What runs in a machine's home folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink().is_relative_to(server.home):
                found.append(int(pid))
    return found


def measures(server):
    """Whether an artifact is being run on a machine."""
    return {*marked_processes("edgeferry.devices.worker")} & {*processes_on(server)}


def when(condition, action):
    """Do something in a thread once a condition holds."""
    thread = threading.Thread(target=lambda: (wait_until(condition), action()))
    thread.start()
    return thread


def stop(server):
    """Kill the server, not what it started."""
    for pid in [server._process.pid, *server.sessions()]:
        os.kill(pid, signal.SIGKILL)
    server._process.wait()


def refused(capfd, asked):
    """What a command says that fails with one message."""
    assert run(asked) == 2
    text = capfd.readouterr().err
    assert text.startswith("edgeferry: ")
    assert len(text.splitlines()) <= 2
    return text


def test_a_device_is_added_and_measured(edge, artifacts, tmp_path):
    add("edge", sys.executable, "--profile", "generic-x86-64", "--replace")
    file = tmp_path / "results.json"
    asked = arguments(artifacts, "--device", "edge", "--json", file)
    assert run(asked) == 0
    document = read(file)
    assert document["complete"]
    assert {each["device"] for each in document["results"]} == {"edge"}
    assert names(document["results"]) == names(artifacts)
    assert all(each["p50_ms"] > 0 and each["end_to_end_p50_ms"] > 0 for each in document["results"])
    (device,) = document["devices"]
    assert (device["name"], device["address"]) == ("edge", "ssh://edge")
    assert device["profile"] == "generic-x86-64"
    facts = [told[when] for told in device["facts"] for when in ("before", "after")]
    assert len(facts) == 4
    assert all(each["python"] and each["packages"]["onnxruntime"] for each in facts)
    assert [verdict["device"] for verdict in document["verdicts"]] == ["edge"]
    assert not processes_on(edge)


def test_files_are_sent_once(edge, artifacts):
    def sent():
        files = (edge.home / ".cache/edgeferry").rglob("*.*")
        return {path: path.stat().st_ino for path in files if path.suffix in (".whl", ".onnx")}

    asked = arguments(artifacts[:1], "--device", "edge")
    assert run(asked) == 0
    first = sent()
    assert len(first) == 2
    assert run(asked) == 0
    assert sent() == first


@pytest.mark.slow
def test_one_of_two_that_dies_takes_nothing_from_the_other(edge, other, artifacts, tmp_path, capfd):
    file = tmp_path / "results.json"
    both = ["--device", "edge", "--device", "other"]
    asked = arguments(artifacts, *both, "--json", file, duration="0.5")
    killer = when(lambda: len(results_of(file, "other")) == 2, lambda: stop(other))
    assert run(asked) == 1
    killer.join()
    before = read(file)
    assert not before["complete"]
    kept = {name: results_of(file, name) for name in ("edge", "other")}
    assert names(kept["edge"]) == names(artifacts)
    assert names(kept["other"]) == names(artifacts[:2])
    assert list(before["failures"]) == ["other: two.fp32.onnx", "other: two.int8.onnx"]
    told = capfd.readouterr()
    # Which one depends on whether a connection was open when it died.
    assert re.search("other (was lost|cannot be reached)", told.err)
    assert not re.search("edge (was lost|cannot be reached)", told.err)
    assert all(path.name in told.out for path in artifacts)
    wait_until(lambda: not processes_on(other), "the agent lives on")
    other.__enter__()
    assert run([*asked, "--resume"]) == 0
    after = read(file)
    assert after["complete"]
    assert results_of(file, "edge") == kept["edge"]
    assert results_of(file, "other")[:2] == kept["other"]
    assert names(results_of(file, "other")) == names(artifacts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "edgeferry: interrupted\n"), (signal.SIGKILL, -9, "")],
)
def test_a_client_that_ends_leaves_its_results_and_nothing_running(
    edge, artifacts, tmp_path, number, code, says
):
    file = tmp_path / "results.json"
    asked = arguments(artifacts, "--device", "edge", "--json", file, duration="0.5")
    command = [sys.executable, "-m", "edgeferry", *asked]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as client:
        wait_until(lambda: len(results_of(file, "edge")) == 2 and measures(edge))
        client.send_signal(number)
        _, said = client.communicate(timeout=30)
    assert client.returncode == code
    assert said == says
    wait_until(lambda: not processes_on(edge), "the agent lives on")
    before = read(file)
    assert not before["complete"]
    assert names(before["results"]) == names(artifacts[:2])
    assert run([*asked, "--resume"]) == 0
    after = read(file)
    assert after["complete"]
    assert names(after["results"]) == names(artifacts)
    assert after["results"][:2] == before["results"]


@pytest.mark.slow
def test_a_host_that_freezes_is_told_in_one_message(edge, artifacts, capfd):
    frozen = []

    def freeze():
        frozen.extend(edge.sessions())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    freezer = when(lambda: measures(edge), freeze)
    text = refused(capfd, arguments(artifacts, "--device", "edge", duration="20"))
    freezer.join()
    assert frozen
    assert "edge was lost" in text
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not processes_on(edge), "the agent lives on")


def test_a_device_without_python_is_told_with_the_way_out(edge, artifacts, capfd):
    add("edge", "python9", "--replace")
    text = refused(capfd, arguments(artifacts, "--device", "edge"))
    assert "edge has no Python 'python9'" in text
    assert "edgeferry devices add NAME ssh://edge --python PATH" in text


@pytest.fixture
def bare(tmp_path):
    """An environment without any package: its Python, and its folder for packages."""
    folder = tmp_path / "bare"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    return folder / "bin/python", site


def test_a_python_without_numpy_is_told_with_the_way_out(edge, bare, artifacts, capfd):
    python, _ = bare
    add("edge", python, "--replace")
    text = refused(capfd, arguments(artifacts, "--device", "edge"))
    assert "edge: " in text
    assert "No module named 'numpy'" in text
    assert "edge/bin/pip install numpy pillow" in text


def test_a_python_without_the_engine_is_told_with_the_way_out(edge, bare, artifacts, capfd):
    python, site = bare
    for pattern in ("numpy*", "PIL", "pillow*"):
        for folder in Path(np.__file__).parents[1].glob(pattern):
            (site / folder.name).symlink_to(folder)
    add("edge", python, "--replace")
    text = refused(capfd, arguments(artifacts, "--device", "edge"))
    assert "edge: running onnx needs onnxruntime" in text
    assert f"Install it there, for {python}" in text
    assert not processes_on(edge)


@pytest.fixture
def phone_artifacts(exported, tmp_path):
    """Two groups: one with an ONNX file beside, the other of a single artifact."""
    made = []
    for folder, names in (("one", ("fp32.tflite", "int8.tflite")), ("two", ("fp32.tflite",))):
        (tmp_path / folder).mkdir()
        for name in names:
            (source,) = exported.folder.glob(f"*.{name}")
            made.append(Path(shutil.copy(source, tmp_path / folder / f"{folder}.{name}")))
    return made


def timed_by_threads(phone, tmp_path):
    """A program that is fastest with two of the phone's four cores."""
    phone.add_program("grep", "echo /sys/devices/system/cpu/online:0-3\n")
    times = {"*' 1'": 9000, "*' 2'": 3000, "*' 4'": 5000}
    return write_program(tmp_path / "benchmark_model", times)


def on_phone(phone, artifacts, program, *options):
    told = ["--device", f"adb://{phone.serial}", "--benchmark-model", program]
    return ["benchmark", *map(str, artifacts), *map(str, told), *map(str, options)]


@pytest.mark.slow
def test_a_phone_is_measured_by_tflites_program(phone, phone_artifacts, exported, tmp_path, capfd):
    (foreign,) = exported.folder.glob("*.fp32.onnx")
    program = write_program(tmp_path / "benchmark_model", PHONE_TIMES)
    file = tmp_path / "results.json"
    asked = [*phone_artifacts[:2], foreign]
    assert run(on_phone(phone, asked, program, "--threads", 2, "--json", file)) == 1
    document = read(file)
    plain, small = document["results"]
    assert [each["runtime"] for each in (plain, small)] == ["benchmark_model"] * 2
    assert (plain["p50_ms"], small["p50_ms"]) == (9, 3)
    assert small["ratio_to_fp32"] == pytest.approx(1 / 3)
    assert (small["threads"], small["executed"]) == (2, "unknown")
    assert small["end_to_end_p50_ms"] is None
    assert list(document["failures"]) == [foreign.name]
    assert f"does not run {foreign.name}" in document["failures"][foreign.name]
    assert document["devices"][0]["facts"][0]["before"]["board"] == "Rok 7"
    assert phone_artifacts[1].name in document["verdicts"][0]["sentence"]
    assert f"{foreign.name} failed" in capfd.readouterr().err


@pytest.mark.slow
def test_a_phone_is_tuned_and_the_verdict_names_the_threads(phone, phone_artifacts, tmp_path):
    program = timed_by_threads(phone, tmp_path)
    file = tmp_path / "results.json"
    assert run(on_phone(phone, phone_artifacts[:1], program, "--tune", "--json", file)) == 0
    document = read(file)
    (result,) = document["results"]
    assert (result["threads"], result["p50_ms"]) == (2, 3)
    tried = [(each["trial"]["threads"], each["p50_ms"]) for each in result["tuned"][0]]
    assert tried == [(2, 3), (4, 5), (1, 9)]
    assert "benchmark_model, 2 threads" in document["verdicts"][0]["sentence"]


@pytest.mark.slow
def test_what_a_phone_had_measured_before_it_was_lost_is_kept(
    phone, phone_artifacts, tmp_path, capfd
):
    block = "case $run in two*) echo on >gate; sleep 1000 ;; esac"
    program = write_program(tmp_path / "benchmark_model", PHONE_TIMES, block)
    gate = phone.root / "edgeferry/gate"
    gate.parent.mkdir()
    os.mkfifo(gate)
    killer = threading.Thread(target=lambda: (gate.read_text(), phone.die()))
    killer.start()
    file = tmp_path / "results.json"
    assert run(on_phone(phone, phone_artifacts, program, "--json", file)) == 1
    killer.join()
    document = read(file)
    assert not document["complete"]
    assert names(document["results"]) == names(phone_artifacts[:2])
    assert list(document["failures"]) == ["two.fp32.tflite"]
    assert f"{phone.serial} was lost while" in capfd.readouterr().err


@pytest.mark.slow
def test_a_phone_without_a_program_is_told_with_the_way_out(phone, phone_artifacts, capfd):
    asked = ["benchmark", str(phone_artifacts[0]), "--device", f"adb://{phone.serial}"]
    text = refused(capfd, asked)
    assert phone.serial in text
    assert "--benchmark-model FILE" in text
