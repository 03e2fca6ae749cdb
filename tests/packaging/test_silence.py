"""No command connects to anything unless it is told to: the kernel is asked, not the packages.

EDGEFERRY_DEMO=1 has the whole demo watched too, which takes minutes.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

NEEDED = ("ai_edge_litert", "onnxruntime", "openvino", "nncf", "tensorflow", "plotly", "igraph")
CALL = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
NAME_SERVERS = ("htons(53)", "io.systemd.Resolve")
"""What is asked for a host's address, also on this machine."""
IDENTITIES = (".cache/Microsoft", "intel")
"""Folders at home in which ONNX Runtime and OpenVINO keep who somebody is."""
PROGRAM = """
import json, sys
from edgeferry.app.cli import run

if __name__ == "__main__":  # some commands spawn processes
    for command in json.load(open(sys.argv[1])):
        assert run(command) == 0, command
"""


@pytest.fixture(scope="module")
def strace() -> list[str]:
    """The command that has the network calls of a program and its children written to a file."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "200", "-e", "trace=%network", "-o"]
    if subprocess.run([*command, os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("this system may not trace")
    return command


def test_no_command_connects_to_anything(strace, exported, tmp_path):
    for module in NEEDED:
        pytest.importorskip(module)
    (tmp_path / "home").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    asked = json.dumps(list(commands(exported, tmp_path)))
    (tmp_path / "commands.json").write_text(asked)
    assert connections(strace, tmp_path, ["program.py", "commands.json"]) == []
    assert not [each for each in IDENTITIES if (tmp_path / "home" / each).exists()]


@pytest.mark.parametrize(
    "code",
    [
        "socket(AF_INET, SOCK_DGRAM).connect(('192.0.2.1', 9))",
        "socket(AF_INET, SOCK_DGRAM).sendto(b'who', ('127.0.0.1', 53))",
        "os.fork() or socket(AF_INET6, SOCK_DGRAM).connect(('2001:db8::1', 9)); os.wait()",
    ],
    ids=["address", "name", "child"],
)
def test_a_connection_is_seen(strace, tmp_path, code):
    (tmp_path / "home").mkdir()
    (tmp_path / "program.py").write_text(
        f"import os\nfrom socket import *\ntry:\n    {code}\nexcept OSError:\n    pass\n"
    )
    assert connections(strace, tmp_path, ["program.py"])


def test_this_machine_is_no_connection():
    here = '7 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}'
    there = here.replace("127.0.0.1", "203.0.113.7")
    assert list(outward(f"{here}\n{there}\n7 connect(3, {{sa_family=AF_UNIX")) == [there]


def commands(exported, folder: Path) -> Iterator[list[str]]:
    """All that work on this machine alone, each quick."""
    paths = [str(exported.folder / f"digits.int8{end}") for end in (".tflite", ".onnx", ".xml")]
    images = ["--images", str(exported.pictures)]
    found = {name: str(folder / f"{name}.json") for name in ("evaluate", "benchmark")}
    source = [str(exported.keras_path), "--preprocessing", "tf", "--precisions", "int8"]
    pictures = ["--calibration", str(exported.calibration), "--calibration-count", "20"]
    yield ["export", *source, *pictures, "-o", str(folder / "out")]
    yield ["evaluate", *paths, *images, "--json", found["evaluate"]]
    yield ["benchmark", paths[0], "--duration", "0.1", "--json", found["benchmark"]]
    yield ["debug", paths[1], "--reference", paths[1].replace("int8", "fp32"), *images]
    yield ["report", *found.values(), "-o", str(folder / "report.html")]
    picture = str(next(exported.pictures.glob("*/*.png")))
    for path in paths:
        yield ["inspect", path, "--diagram", str(folder / "net.svg")]
        yield ["predict", path, picture, "--annotate", str(folder / "answers.png")]
    yield ["bundle", paths[0], "--device", "raspberry-pi-4", "-o", str(folder / "pi.tar.gz")]
    yield ["verify", str(exported.folder), str(folder / "pi.tar.gz")]
    yield ["doctor"]
    if "EDGEFERRY_DEMO" in os.environ:
        yield ["demo", "-o", str(folder / "demo")]


def connections(strace: Sequence[str], folder: Path, program: Sequence[str]) -> list[str]:
    """What a program in a folder reaches out for, at home in ``home`` there."""
    seen = folder / "network.txt"
    command = [*strace, str(seen), sys.executable, "-W", "ignore", *program]
    environment = {**os.environ, "HOME": str(folder / "home")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return list(outward(seen.read_text()))


def outward(seen: str) -> Iterator[str]:
    """Calls to other machines, or for their addresses."""
    for line in seen.splitlines():
        named = ADDRESS.search(line)
        away = named and not ipaddress.ip_address(named[1] or named[2]).is_loopback
        if CALL.search(line) and (away or any(each in line for each in NAME_SERVERS)):
            yield line
