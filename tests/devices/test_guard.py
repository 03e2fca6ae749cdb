"""The guard's script in every shell that this machine has: nothing outlives its command."""

import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from device_ends.processes import marked_processes, wait_until

from edgeferry.devices.device import Command
from edgeferry.devices.guard import NO_FOLDER, TIME_UP, guarded

pytest_plugins = ["device_ends.processes"]

SHELLS = [name for name in ("bash", "dash", "busybox", "mksh") if shutil.which(name)]
APPLETS = {"busybox": ("mkdir", "setsid", "sleep", "timeout")}
"""Programs that a small system has from the same package as its shell."""
IGNORE_TERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
CHILD = "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', {!r}]); "
SLEEP = "print('here', flush=True); time.sleep(60)"
STUBBORN = {
    "one that ignores SIGTERM": IGNORE_TERM + SLEEP,
    "one whose child ignores SIGTERM": CHILD.format(IGNORE_TERM + "time.sleep(60)") + SLEEP,
    "one that closed its output": "import os, time; print('here', flush=True); "
    "os.close(1); os.close(2); time.sleep(60)",
    "one with a stopped child": CHILD.format("import time; time.sleep(60)")
    + "child.send_signal(19); "
    + SLEEP,
    "one that stopped its whole group": "import os, time; print('here', flush=True); "
    "os.killpg(0, 19); time.sleep(60)",
}


@pytest.fixture(params=SHELLS)
def shell(request, tmp_path):
    """Start a line with one of the shells as ``sh``."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", *APPLETS.get(request.param, ())):
        (programs / name).symlink_to(shutil.which(request.param))
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def start(line):
        return subprocess.Popen(
            ["sh", "-c", line],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def told_by(process):
    """What it prints until it ends, while its client stays."""
    return process.stdout.read(), process.stderr.read()


def python(code, marker, time_limit=60):
    return Command([sys.executable, "-c", f"{code} # {marker}"], time_limit)


def test_it_passes_on_arguments_environment_output_and_exit_code(shell, tmp_path, marker):
    odd = ["", "two  words", "'", '"', "$HOME", "`id`", "a\nb", "*", "é\\"]
    code = "import sys, os; print(sys.argv[1:]); print(os.environ['ODD']); sys.exit('no')"
    command = Command([sys.executable, "-c", code, *odd], environment={"ODD": "$x 'y'\n\"z\""})
    folder = tmp_path / "a folder's $name"
    with shell(guarded(command, str(folder))) as process:
        output, errors = told_by(process)
    assert output == f"{odd}\n$x 'y'\n\"z\"\n"
    assert errors == "no\n"
    assert process.returncode == 1
    assert folder.is_dir()


def test_a_program_that_is_missing_is_told_with_127(shell, tmp_path):
    with shell(guarded(Command(["no-such-program"]), str(tmp_path))) as process:
        _, errors = told_by(process)
    assert process.returncode == 127
    assert "no-such-program" in errors


def test_a_folder_that_cannot_be_is_told_before_anything_runs(shell, tmp_path):
    (tmp_path / "file").touch()
    line = guarded(Command(["echo", "ran"]), str(tmp_path / "file" / "in"), beginning="echo began")
    with shell(line) as process:
        output, errors = told_by(process)
    assert (process.returncode, output) == (NO_FOLDER, "")
    assert "mkdir" in errors


def test_the_ending_knows_the_exit_code(shell, tmp_path):
    line = guarded(Command(["false"]), str(tmp_path), "echo ended with $code", "echo began")
    with shell(line) as process:
        output, _ = told_by(process)
    assert output == "began\nended with 1\n"


def test_a_command_that_reads_its_input_finds_none(shell, tmp_path):
    with shell(guarded(Command(["cat"]), str(tmp_path))) as process:
        assert process.wait() == 0


def test_what_a_command_leaves_behind_is_ended(shell, tmp_path, marker):
    code = CHILD.format(IGNORE_TERM + SLEEP) + "sys.exit(3)"
    with shell(guarded(python(code, marker), str(tmp_path))) as process:
        assert process.wait() == 3
        wait_until(lambda: not marked_processes(marker))


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN)
def test_it_ends_when_its_client_is_gone(shell, tmp_path, marker, code):
    with shell(guarded(python(code, marker), str(tmp_path))) as process:
        assert process.stdout.readline() == "here\n"
        process.stdin.close()
        process.wait()
        wait_until(lambda: not marked_processes(marker))


@pytest.mark.parametrize("code", list(STUBBORN.values())[:-1], ids=list(STUBBORN)[:-1])
def test_it_ends_when_its_time_is_up(shell, tmp_path, marker, code):
    started = time.monotonic()
    with shell(guarded(python(code, marker, time_limit=0.5), str(tmp_path))) as process:
        assert process.wait() in TIME_UP
        assert time.monotonic() - started >= 0.5
        wait_until(lambda: not marked_processes(marker))


def test_a_login_shell_hands_the_line_on_unchanged(tmp_path):
    line = guarded(Command(["echo", "it's"]), str(tmp_path))
    assert shlex.split(line)[:3] == ["exec", "sh", "-c"]
