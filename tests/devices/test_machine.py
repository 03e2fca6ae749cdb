"""Facts of made-up machines, and of this one."""

from pathlib import Path

import pytest

from edgeferry.devices.machine import available_memory, machine_facts, peak_memory

MEMINFO = "MemTotal:  4000000 kB\nMemFree:  100 kB\nMemAvailable:  2048000 kB\n"


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def board(tmp_path):
    put(tmp_path, "proc/meminfo", MEMINFO)
    put(tmp_path, "proc/loadavg", "0.25 0.10 0.05 1/99 123\n")
    put(tmp_path, "proc/cpuinfo", "processor\t: 0\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n")
    put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    return tmp_path


def test_facts_of_a_board(board):
    facts = machine_facts(board)
    assert facts["processor"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert (facts["memory_mb"], facts["available_mb"]) == (3906, 2000)
    assert (facts["load_average"], facts["governor"]) == (0.25, "ondemand")


def test_what_a_machine_does_not_tell_is_none(tmp_path):
    facts = machine_facts(tmp_path)
    unknown = ("memory_mb", "available_mb", "load_average", "governor")
    assert [facts[name] for name in unknown] == [None] * 4
    assert facts["architecture"]


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("0::/app", {"app/memory.max": "1000000", "app/memory.current": "400000"}),
        ("0::/app/inner", {"app/memory.max": "1000000", "app/memory.current": "400000"}),
        (
            "4:memory:/app",
            {
                "memory/app/memory.limit_in_bytes": "1000000",
                "memory/app/memory.usage_in_bytes": "400000",
            },
        ),
    ],
)
def test_a_control_group_leaves_less_than_the_machine_has(board, group, files):
    put(board, "proc/self/cgroup", group + "\n")
    for path, text in files.items():
        put(board, f"sys/fs/cgroup/{path}", text)
    assert available_memory(board) == 600_000


def test_a_control_group_without_limit_leaves_what_the_machine_has(board):
    put(board, "proc/self/cgroup", "0::/app\n")
    put(board, "sys/fs/cgroup/app/memory.max", "max\n")
    put(board, "sys/fs/cgroup/app/memory.current", "400000\n")
    assert available_memory(board) == 2_048_000 * 1024


def test_peak_memory_grows_with_what_was_held():
    before = peak_memory()
    held = b"x" * (before + 50 * 2**20)
    assert peak_memory() >= before + 50 * 2**20
    assert len(held) > before
