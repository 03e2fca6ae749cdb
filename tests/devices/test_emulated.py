"""A board emulated on this machine: its processor is another, and only Python runs on it."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from edgeferry.devices import arm64_tree
from edgeferry.devices.cache import made_once
from edgeferry.devices.debian import SOURCES
from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.emulated_device import EmulatedDevice
from edgeferry.devices.profile import profile_named
from edgeferry.errors import DeviceError, TimeLimitError, UsageError

pytest_plugins = ["device_ends.emulation"]

IDENTITY = """
import json, os
cpuinfo = open("/proc/cpuinfo").read()
print(json.dumps({
    "machine": os.uname().machine,
    "features": cpuinfo.partition("Features\\t: ")[2].splitlines()[0].split(),
    "cpus": [cpuinfo.count("processor"), os.cpu_count()],
    "board": open("/proc/device-tree/model").read(),
}))
"""
ATOMIC_ADD = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
for instruction in (0xB8210002, 0xD65F03C0):  # ldadd w1, w2, [x0]; ret
    page.write(instruction.to_bytes(4, "little"))
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(ctypes.c_int()))
print("added")
"""
INFER = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(None, {"x": numpy.arange(6, dtype=numpy.float32).reshape(2, 3)})[0].tolist())
"""


def python(*arguments: str, **options: object) -> Command:
    return Command(["python3", *arguments], **options)


@pytest.mark.slow
def test_a_program_sees_the_board_and_not_this_machine(pi4):
    told = json.loads(pi4.run(python("-c", IDENTITY)).stdout)
    assert told["machine"] == "aarch64"
    assert "asimd" in told["features"]
    assert not {"atomics", "asimddp", "avx2"} & set(told["features"])
    assert told["cpus"] == [os.cpu_count()] * 2
    assert "Raspberry Pi 4" in told["board"] and "(emulated)" in told["board"]


@pytest.mark.slow
def test_an_instruction_that_the_board_lacks_ends_the_program(emulated):
    older = emulated("raspberry-pi-4").run(python("-c", ATOMIC_ADD))
    newer = emulated("raspberry-pi-5").run(python("-c", ATOMIC_ADD))
    assert (older.code, older.stdout) == (128 + signal.SIGILL, "")
    assert (newer.code, newer.stdout) == (0, "added\n")


@pytest.mark.slow
def test_an_engine_is_installed_and_infers(pi4, tmp_path):
    from onnx import TensorProto, helper, save

    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor("w", TensorProto.FLOAT, [3, 4], weights.ravel())],
    )
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "product.onnx")
    pi4.install(profile_named("raspberry-pi-4").requirements("onnxruntime"))
    (placed,) = pi4.place([tmp_path / "product.onnx"])
    quiet = {"ORT_DISABLE_TELEMETRY": "1"}
    ended = pi4.run(python("-c", INFER, placed, environment=quiet))
    assert ended.code == 0, ended.stderr
    expected = np.arange(6).reshape(2, 3) @ weights
    assert json.loads(ended.stdout) == expected.tolist()


@pytest.mark.slow
def test_files_are_copied_as_to_any_device(pi4, tmp_path):
    (tmp_path / "module.py").write_text("print('of the device')")
    (placed,) = pi4.place([tmp_path / "module.py"])
    (tmp_path / "module.py").unlink()
    assert pi4.run(python(placed)).stdout == "of the device\n"


@pytest.mark.slow
def test_what_this_machine_sets_for_its_python_is_kept_out(pi4, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("LD_PRELOAD", "libnothing.so")
    (tmp_path / "numpy.py").touch()
    ended = pi4.run(python("-c", "import numpy"))
    assert ended.stderr.splitlines()[-1].startswith("ModuleNotFoundError")
    assert "preload" not in ended.stderr
    own = {"PYTHONPATH": str(tmp_path)}
    assert pi4.run(python("-c", "import numpy", environment=own)).code == 0


@pytest.mark.slow
def test_the_time_limit_leaves_no_process(pi4, tmp_path):
    endless = python("-c", "while True: pass", str(tmp_path), time_limit=2)
    with pytest.raises(TimeLimitError, match="more than 2 s on raspberry-pi-4"):
        pi4.run(endless)
    assert not [line for line in command_lines() if str(tmp_path) in line]


def command_lines() -> list[str]:
    """Of every process of this machine."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_bytes().decode(errors="replace"))
    return lines


def test_a_program_other_than_python_is_refused():
    device = EmulatedDevice(DeviceSettings("pi", "emulated://raspberry-pi-4"))
    refused = r"cannot run 'uname'.*\n.*Python alone"
    with device, pytest.raises(DeviceError, match=refused):
        device.run(Command(["uname", "-m"]))


@pytest.mark.parametrize(
    ("profile", "problem"),
    [("generic-x86-64", "generic-x86-64 cannot be emulated"), ("rasberry", "raspberry-pi")],
)
def test_a_board_that_cannot_be_emulated_is_told(profile, problem):
    device = EmulatedDevice(DeviceSettings("it", f"emulated://{profile}"))
    with device, pytest.raises(UsageError, match=problem):
        device.run(python("-V"))


def test_a_machine_without_apt_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"apt-get is missing.*\n.*Debian"):
        arm64_tree.arm64_tree(tmp_path / "cache")


def test_a_failing_apt_is_told_and_leaves_nothing(emulation, tmp_path, monkeypatch):
    sources = tmp_path / "nowhere.list"
    sources.write_text(f"deb [trusted=yes] file://{tmp_path}/nowhere ./\n")
    monkeypatch.setenv(SOURCES, str(sources))
    with pytest.raises(DeviceError, match=f"apt-get cannot get .*\n.*{SOURCES}"):
        arm64_tree.arm64_tree(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.slow
def test_a_missing_qemu_is_unpacked_too(emulation, monkeypatch):
    genuine = arm64_tree.shutil.which

    def without_qemu(name):
        return None if name == arm64_tree.QEMU else genuine(name)

    monkeypatch.setattr(arm64_tree.shutil, "which", without_qemu)
    tree = arm64_tree.arm64_tree()
    assert tree.qemu.is_relative_to(emulation)
    line = [tree.qemu, "-L", tree.root, tree.root / "usr/bin/python3", "-V"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.stdout.startswith(f"Python {tree.python}."), done.stderr


def test_a_folder_that_two_make_at_once_is_whole(tmp_path):
    both, seen = threading.Barrier(2), []

    def fill(folder):
        (folder / "first").touch()
        both.wait(timeout=30)
        (folder / "second").touch()

    def make():
        seen.append(sorted(each.name for each in made_once(tmp_path / "kept", fill).iterdir()))

    makers = [threading.Thread(target=make) for _ in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert seen == [["first", "second"]] * 2
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
