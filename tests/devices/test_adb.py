"""A phone through Debian's adb, whose other end is the tests' own daemon on loopback."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time

import pytest
from device_ends.adbd import Phone
from device_ends.processes import marked_processes, wait_until

from edgeferry.devices import adb_client, adb_device
from edgeferry.devices.adb_device import AdbDevice
from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.registry import open_device
from edgeferry.errors import (
    DeviceError,
    DeviceLostError,
    MissingDependencyError,
    TimeLimitError,
)

pytest_plugins = ["device_ends.adb"]


TOYBOX_TIMEOUT = f"""\
exec {sys.executable} -c '
import os, signal, subprocess, sys

_, _, grace, limit, *command = sys.argv
over = []


def late(number, frame):
    over.append(signal.SIGKILL if over else signal.SIGTERM)
    child.send_signal(over[-1])
    signal.alarm(int(grace))


if os.getpid() != os.getpgrp():
    os.setpgid(0, 0)
child = subprocess.Popen(command)
signal.signal(signal.SIGALRM, late)
signal.alarm(int(limit))
code = child.wait()
sys.exit({{0: code if code >= 0 else 128 - code, 1: 124, 2: 137}}[len(over)])
' "$@"
"""
"""Unlike GNU's, it hands no signal on: only its own process group leads to the command."""


@pytest.fixture
def device(phone):
    with opened(phone) as device:
        yield device


@pytest.fixture
def token(phone):
    """Digits in the command lines of what a test starts; nothing that bears them may be left."""
    digits = str(secrets.randbelow(10**16))
    yield digits
    wait_until(lambda: not marked_processes(digits))
    wait_until(lambda: not marked_processes(phone.serial), "an adb process is left")


def opened(phone: Phone) -> AdbDevice:
    device = open_device(DeviceSettings("rok", f"adb://{phone.serial}"))
    assert isinstance(device, AdbDevice)
    return device


def shell(script: str, *arguments: str, **options) -> Command:
    return Command(["sh", "-c", script, "sh", *arguments], **options)


def is_short(error: DeviceError) -> bool:
    return len(error.problem.splitlines()) == 1 and len(error.remedy.splitlines()) <= 1


def long_lasting(token: str, limit: float = 600) -> Command:
    return shell('echo on; sleep "1000.$1"; exit 3', token, time_limit=limit)


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_file_comes_back_as_it_went(device, phone, tmp_path, size):
    content = random.Random(size).randbytes(size)
    (tmp_path / "there").write_bytes(content)
    device.push(tmp_path / "there", "in a folder/it's there")
    assert (phone.root / "edgeferry/in a folder/it's there").read_bytes() == content
    device.pull("in a folder/it's there", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "phone", "there"]


def test_a_file_is_sent_once(device, phone, tmp_path):
    (tmp_path / "model").write_bytes(b"weights")
    [name] = device.place([tmp_path / "model"])
    assert device.run(Command(["cat", name])).stdout == "weights\n"
    phone.full = True
    assert device.place([tmp_path / "model"]) == [name]


def test_a_file_that_is_not_there_is_named(device, tmp_path):
    assert device.digest("none") is None
    with pytest.raises(DeviceError, match="no file none on rok"):
        device.pull("none", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_exit_code_and_both_streams_are_told(device):
    done = device.run(shell("echo out; echo err >&2; exit 7"))
    assert (done.code, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_codes_of_timeout_are_a_commands_own_before_its_time_is_up(device):
    assert device.run(shell("exit 124")).code == 124
    assert device.run(shell("kill -9 $$")).code == 137


def test_a_line_without_an_end_is_a_line(device):
    assert device.run(Command(["printf", "a\\nb"])).stdout == "a\nb\n"
    assert device.run(Command(["true"])).stdout == ""


def test_arguments_and_variables_arrive_as_they_are(device):
    odd = ["", " ", "a b", "it's", '"', "$HOME", "`id`", "*", "\\", "-x", "é", "a\tb"]
    told = device.run(shell('for each; do echo "<$each>"; done', *odd)).stdout
    assert told == "".join(f"<{each}>\n" for each in odd)
    told = device.run(shell('echo "$ODD"', environment={"ODD": "it's $HOME"})).stdout
    assert told == "it's $HOME\n"


def test_lines_come_while_the_command_runs(device, phone, tmp_path):
    heard = []

    def listen(line):
        heard.append(line)
        if line == "ready":
            (tmp_path / "go").write_text("gone")
            device.push(tmp_path / "go", "go")
            with (phone.root / "edgeferry/gate").open("w") as gate:
                gate.write("open\n")

    done = device.run(shell("mkfifo gate; echo ready; cat gate go"), listen)
    assert heard == ["ready", "open", "gone"]
    assert (done.code, done.stdout) == (0, "")


def test_an_old_phone_merges_the_streams_and_still_tells_the_exit_code(adb_server, tmp_path):
    with Phone(tmp_path / "old", {}, features="cmd") as phone, opened(phone) as device:
        done = device.run(shell("echo out; echo err >&2; exit 7"))
    assert (done.code, sorted(done.stdout.split())) == (7, ["err", "out"])


def test_a_command_ends_on_the_phone_when_its_time_is_up(device, token):
    with pytest.raises(TimeLimitError, match="more than 1 s on rok") as caught:
        device.run(long_lasting(token, limit=1))
    assert "sleep" in caught.value.problem


def test_a_phone_that_dies_ends_the_command(device, phone, token):
    with pytest.raises(DeviceLostError, match="rok was lost while sh -c") as caught:
        device.run(long_lasting(token), lambda _: phone.die())
    assert is_short(caught.value)


@pytest.mark.parametrize(("loss", "told"), [("die", "was lost"), ("freeze", "stopped answering")])
def test_a_phone_lost_while_it_takes_a_file_has_none(
    device, phone, tmp_path, monkeypatch, loss, told
):
    for module in (adb_client, adb_device):
        monkeypatch.setattr(module, "ANSWER", 2)
    (tmp_path / "there").write_bytes(bytes(5_000_000))
    phone.when_written = getattr(phone, loss)
    with pytest.raises(DeviceLostError, match=f"rok {told} while a file was copied"):
        device.push(tmp_path / "there", "there")
    assert not (phone.root / "edgeferry/there").exists()


def test_a_phone_that_freezes_is_given_up_after_the_time_limit(device, phone, token):
    started = time.monotonic()
    with pytest.raises(DeviceLostError, match="rok stopped answering") as caught:
        device.run(long_lasting(token, limit=1), lambda _: phone.freeze())
    assert is_short(caught.value)
    assert time.monotonic() - started < 30
    phone.die()


def test_closing_from_another_thread_ends_what_runs(device, token):
    closer = threading.Thread(target=device.close)
    with pytest.raises(DeviceLostError, match="was closed while"):
        device.run(long_lasting(token), lambda _: closer.start())
    closer.join()


def test_a_closed_device_says_so(device):
    device.close()
    with pytest.raises(DeviceLostError, match="rok was closed"):
        device.run(Command(["true"]))


def test_an_error_of_the_listener_ends_the_command(device, token):
    def interrupted(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.run(long_lasting(token), interrupted)


def test_a_killed_client_ends_the_command(phone, token):
    program = (
        "import sys\n"
        "from edgeferry.devices.device import Command, DeviceSettings\n"
        "from edgeferry.devices.registry import open_device\n"
        "device = open_device(DeviceSettings('rok', sys.argv[1]))\n"
        "script = 'echo on; sleep \"1000.$1\"; exit 3'\n"
        "command = Command(['sh', '-c', script, 'sh', sys.argv[2]])\n"
        "device.run(command, lambda line: print(line, flush=True))\n"
    )
    arguments = [sys.executable, "-c", program, f"adb://{phone.serial}", token]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "on\n"
        os.kill(client.pid, signal.SIGKILL)


def test_a_full_phone_says_so_with_what_df_tells(device, phone, tmp_path):
    phone.add_program("df", "echo Filesystem; echo /dev/block/dm-5 107G 107G 12K 100% /data")
    phone.full = True
    (tmp_path / "there").write_bytes(b"content")
    with pytest.raises(DeviceError, match="folder/there cannot be written on rok") as caught:
        device.push(tmp_path / "there", "folder/there")
    assert "no space left there (/dev/block/dm-5 107G 107G 12K 100% /data)" in str(caught.value)
    assert list((phone.root / "edgeferry/folder").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(phone):
    (phone.root / "file").write_text("in the way")
    settings = DeviceSettings("rok", f"adb://{phone.serial}", folder="/data/local/tmp/file/x")
    with AdbDevice(settings) as device, pytest.raises(DeviceError, match="tmp/file/x: mkdir"):
        device.run(Command(["true"]))


def test_no_phone_at_an_address_is_told(adb_server, tmp_path):
    with Phone(tmp_path / "gone", {}) as phone:
        pass
    with opened(phone) as device, pytest.raises(DeviceError, match="refused") as caught:
        device.run(Command(["true"]))
    assert "rok cannot be reached" in str(caught.value)
    assert "adb tcpip" in caught.value.remedy


def test_a_serial_that_adb_does_not_know_is_told(adb_server):
    with (
        AdbDevice(DeviceSettings("rok", "adb://R58M")) as device,
        pytest.raises(DeviceError, match="no device R58M"),
    ):
        device.run(Command(["true"]))


@pytest.mark.parametrize(
    ("told", "problem", "remedy"),
    [
        ("error: device unauthorized.\nThis adb server's", "does not trust", "USB debugging"),
        ("error: device still authorizing", "being asked", "screen"),
        ("error: device offline", "offline", "adb reconnect"),
        ("error: no devices/emulators found", "sees no device", "USB debugging"),
        ("error: more than one device/emulator", "more than one", "adb://SERIAL"),
        ("error: insufficient permissions for device: user", "may not open", "udev"),
        ("recovery", "'recovery'", ""),
    ],
)
def test_what_adb_says_of_a_phone_becomes_one_clear_message(
    tmp_path, monkeypatch, told, problem, remedy
):
    stub = tmp_path / "adb"
    stub.write_text(f"#!/bin/sh\necho '* daemon started successfully'\ncat <<'END'\n{told}\nEND\n")
    stub.chmod(0o755)
    monkeypatch.setenv("ADB", str(stub))
    with (
        AdbDevice(DeviceSettings("rok", "adb://")) as device,
        pytest.raises(DeviceError) as caught,
    ):
        device.digest("any")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert is_short(caught.value)


def test_a_missing_adb_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.delenv("ADB", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        AdbDevice(DeviceSettings("rok", "adb://R58M")) as device,
        pytest.raises(MissingDependencyError, match="apt install adb"),
    ):
        device.run(Command(["true"]))


def test_a_phone_that_came_back_is_used_again(device, phone, token):
    with pytest.raises(DeviceLostError):
        device.run(long_lasting(token), lambda _: phone.cut())
    assert device.run(Command(["echo", "back"])).stdout == "back\n"


def test_phones_timeout_ends_a_command_when_its_time_is_up(device, phone, token):
    phone.add_program("timeout", TOYBOX_TIMEOUT)
    with pytest.raises(TimeLimitError):
        device.run(long_lasting(token, limit=1))


@pytest.mark.parametrize("loss", ["client", "phone"])
def test_phones_timeout_ends_a_command_that_nobody_waits_for(device, phone, token, loss):
    phone.add_program("timeout", TOYBOX_TIMEOUT)
    lose = {"client": device.close, "phone": phone.die}[loss]
    with pytest.raises(DeviceLostError):
        device.run(long_lasting(token), lambda _: lose())
