"""One writer at a time, and nobody kept out by the dead."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from edgeferry.app.cli import run
from edgeferry.app.lock import hidden_beside, output_lock, unheard
from edgeferry.errors import OutputError
from edgeferry.files import atomic_path, atomic_write_text

HOLDER = """
import sys
from pathlib import Path
from edgeferry.app.lock import output_lock, unheard
with output_lock(Path(sys.argv[1]), "export", unheard):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Let another process hold the lock on an output."""
    started = []

    def hold(output: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLDER, str(output)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **pipes)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_one_is_told_who_writes_there(tmp_path, holder):
    process = holder(tmp_path / "out")
    with (
        pytest.raises(OutputError) as caught,
        output_lock(tmp_path / "out", "export", unheard),
    ):
        pass
    problem = caught.value.problem
    assert problem.startswith(f"{tmp_path / 'out'} is being written by edgeferry export (process ")
    assert f"process {process.pid}, since " in problem
    assert "another place" in caught.value.remedy


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path, holder):
    process = holder(tmp_path / "out")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert hidden_beside(tmp_path / "out", "lock").exists(), "it was left, and does no harm"
    with output_lock(tmp_path / "out", "export", unheard):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_gone_leaves_nothing_and_is_free(tmp_path):
    for _ in range(2):
        with output_lock(tmp_path / "out", "export", unheard):
            assert hidden_beside(tmp_path / "out", "lock").exists()
        assert list(tmp_path.iterdir()) == []


def test_other_spellings_are_the_same_lock(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    monkeypatch.chdir(tmp_path)
    with output_lock(tmp_path / "there" / "out", "export", unheard):
        for other in ("there/out", "link/out", "there/../link/./out"):
            with pytest.raises(OutputError), output_lock(Path(other), "export", unheard):
                pass


def test_a_lock_file_that_its_holder_removed_in_between_locks_nobody_out(tmp_path, monkeypatch):
    """Opened just before the holder removed it, locked just after: it holds nothing."""
    path, flock, calls = hidden_beside(tmp_path / "out", "lock"), fcntl.flock, []

    def late(file, operation):
        calls.append(file)
        if len(calls) == 1:
            path.unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with output_lock(tmp_path / "out", "export", unheard):
        assert len(calls) == 2
        with pytest.raises(OutputError), output_lock(tmp_path / "out", "export", unheard):
            pass


def test_where_there_are_no_locks_it_is_told_and_the_work_goes_on(tmp_path, monkeypatch):
    def none(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    told = []
    with output_lock(tmp_path / "out", "export", told.append):
        pass
    assert "no locks" in told[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "no json", "{}", '{"pid": 1, "host": [], "since": 3}'])
def test_a_strange_lock_file_does_no_harm(tmp_path, content):
    path = hidden_beside(tmp_path / "out", "lock")
    path.write_text(content)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with (
            pytest.raises(OutputError, match="written by another process"),
            output_lock(tmp_path / "out", "export", unheard),
        ):
            pass
    with output_lock(tmp_path / "out", "export", unheard):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    hidden_beside(tmp_path / "out", "lock").symlink_to("precious")
    with (
        pytest.raises(OutputError, match="cannot write"),
        output_lock(tmp_path / "out", "export", unheard),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_folder_that_something_is_mounted_on_has_its_companions_inside(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "out")
    assert hidden_beside(tmp_path / "out", "lock") == tmp_path / "out" / ".out.lock"
    assert hidden_beside(tmp_path / "other", "lock") == tmp_path / ".other.lock"


@pytest.mark.parametrize("command", ["evaluate", "benchmark", "debug", "debug --picture"])
def test_results_are_written_by_one_at_a_time(
    command, tmp_path, holder, write_network, matrix, pictures, capfd
):
    command, _, option = command.partition(" ")
    if option:
        pytest.importorskip("matplotlib")
    output = tmp_path / ("depth.svg" if option else "results.json")
    process = holder(output)
    path = str(write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix))
    asked = {
        "evaluate": [path, "--images", str(pictures)],
        "benchmark": [path, "--duration", "0.05"],
        "debug": [path, "--reference", path, "--images", str(pictures)],
    }
    assert run([command, *asked[command], option or "--json", str(output)]) == 2
    said = capfd.readouterr().err
    assert f"process {process.pid}" in said
    assert len(said.splitlines()) == 2
    assert not output.exists()


def test_two_benchmarks_without_a_file_both_measure(
    tmp_path, holder, write_network, matrix, monkeypatch, capfd
):
    """The second keeps no journal, since they would have the same one; it cannot be resumed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "state" / "edgeferry").mkdir(parents=True)
    holder(tmp_path / "state" / "edgeferry" / "benchmark.json")
    path = str(write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix))
    asked = ["benchmark", path, "--duration", "0.05", "--threads", "1"]
    assert run(asked) == 0
    assert "nothing to resume from" in capfd.readouterr().err
    assert not (tmp_path / "state" / "edgeferry" / "benchmark.json").exists()
    assert run([*asked, "--resume"]) == 2
    assert "is being written" in capfd.readouterr().err


def test_what_a_killed_writer_left_goes_with_the_next_lock(tmp_path):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from edgeferry.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    output = tmp_path / "results[1].json"
    subprocess.run([sys.executable, "-c", script, str(output)])
    (half,) = tmp_path.iterdir()
    assert half.read_text() == "half"
    mine = tmp_path / ".results[1].json.original"
    mine.write_text("mine")
    with output_lock(output, "evaluate", unheard):
        assert not half.exists()
    assert list(tmp_path.iterdir()) == [mine]


def test_a_file_takes_its_name_once_it_is_on_the_disk(tmp_path, monkeypatch):
    done, replace = [], Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("flushed"))
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("named"), replace(*paths))[1])
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert done == ["flushed", "named"]


def test_a_link_stays_a_link_to_what_is_written(tmp_path):
    """As ``/dev/stdout`` is one, where standard output goes to a file."""
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "results.json", tmp_path / "link.json"
    link.symlink_to(real)
    for text in ("new", "newer"):
        with output_lock(link, "evaluate", unheard):
            atomic_write_text(link, text)
        assert (link.is_symlink(), real.read_text()) == (True, text)
    assert {each.name for each in tmp_path.iterdir()} == {"there", "link.json"}
    assert list(real.parent.iterdir()) == [real]


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    """As ``/dev/stdout`` and ``/dev/null`` do, which a file would replace."""
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    atomic_write_text(pipe, "results")
    reader.join()
    assert heard == ["results"]
    assert pipe.is_fifo()


FORKING = """
import os, sys
from pathlib import Path
from edgeferry.app.lock import output_lock, unheard
with output_lock(Path(sys.argv[1]), "export", unheard):
    if os.fork():
        os.kill(os.getpid(), 9)
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
"""


def test_a_child_of_a_killed_holder_keeps_nobody_out(tmp_path):
    command = [sys.executable, "-c", FORKING, str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "forked\n"
        process.wait()
        with output_lock(tmp_path / "out", "export", unheard):
            pass


def test_a_lock_file_of_another_user_is_told_what_to_do_about(tmp_path, monkeypatch):
    def refuse(*given, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    hidden_beside(tmp_path / "out", "lock").touch()
    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(OutputError, match=r"Permission denied \(.out.lock\)\n.*remove it"),
        output_lock(tmp_path / "out", "export", unheard),
    ):
        pass
