"""Facts of made-up machines, and of this one."""

import json
import subprocess
import sys
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


def test_facts_of_a_pi_that_is_throttled(tmp_path):
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    put(tmp_path, "proc/cpuinfo", "Features\t: fp asimd evtstrm crc32 cpuid\n" * 4)
    for cpu in range(4):
        folder = f"sys/devices/system/cpu/cpu{cpu}"
        put(tmp_path, f"{folder}/cpufreq/scaling_cur_freq", "600000\n")
        put(tmp_path, f"{folder}/cpufreq/cpuinfo_max_freq", "1500000\n")
        put(tmp_path, f"{folder}/regs/identification/midr_el1", "0x00000000410fd083\n")
    put(tmp_path, "sys/devices/system/cpu/online", "0-3\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "82250\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/trip_point_0_type", "critical\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/trip_point_0_temp", "110000\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/trip_point_1_type", "active\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/trip_point_1_temp", "50000\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "e0006\n")
    facts = machine_facts(tmp_path)
    assert (facts["board"], facts["isa"]) == ("Raspberry Pi 4 Model B Rev 1.4", ["asimd"])
    assert facts["clocks_mhz"]["3"] == {"now": 600.0, "max": 1500.0, "base": None}
    assert (facts["online_cpus"], facts["midr"]) == ("0-3", ["0x00000000410fd083"])
    assert facts["temperatures_c"] == {"0:cpu-thermal": 82.25}
    assert (facts["temperature_c"], facts["trip_c"]) == (82.25, 110.0)
    assert facts["throttled"]["raw"] == 0xE0006
    assert facts["throttled"]["now"] == {
        "under_voltage": False,
        "frequency_capped": True,
        "throttled": True,
        "soft_temperature_limit": False,
    }


def test_facts_of_a_virtual_pc(tmp_path):
    flags = "flags : fpu sse4_2 avx2 avx512f avx512_vnni avx_vnni amx_int8 hypervisor\n"
    put(tmp_path, "proc/cpuinfo", f"processor : 0\nmodel name : Xeon\n{flags}")
    put(tmp_path, "sys/class/dmi/id/product_name", "Standard PC\n")
    put(tmp_path, "proc/stat", "cpu  100 5 50 800 20 0 5 20 7 0\ncpu0 1 1 1 1 1 1 1 1\n")
    put(tmp_path, "proc/vmstat", "nr_free_pages 1\npswpin 12\npswpout 34\noom_kill 2\n")
    pressure = "some avg10=1.50 avg60=2.22 avg300=1.14 total=16532\nfull avg10=0.00 total=0\n"
    put(tmp_path, "proc/pressure/cpu", pressure)
    put(tmp_path, "proc/meminfo", "SwapTotal: 102400 kB\nSwapFree: 51200 kB\n")
    put(tmp_path, "proc/uptime", "15559.34 16354.39\n")
    put(tmp_path, "proc/loadavg", "0.54 0.22 0.65 2/89 24831\n")
    facts = machine_facts(tmp_path)
    assert (facts["board"], facts["processor"]) == ("Standard PC", "Xeon")
    assert facts["virtualized"] is True
    assert facts["isa"] == ["amx_int8", "avx2", "avx512_vnni", "avx512f", "avx_vnni", "sse4_2"]
    assert facts["processor_ticks"] == {"all": 1000, "busy": 160, "steal": 20}
    assert facts["cpu_pressure"] == {"avg10": 1.5, "total_us": 16532}
    assert [facts[f"pages_swapped_{way}"] for way in ("in", "out")] == [12, 34]
    assert (facts["oom_kills"], facts["uptime_s"], facts["runnable_tasks"]) == (2, 15559.34, 2)
    assert (facts["swap_mb"], facts["swap_free_mb"]) == (100, 50)


def test_only_what_every_core_can_do_is_told(tmp_path):
    put(tmp_path, "proc/cpuinfo", "Features : asimd asimddp i8mm\nFeatures : asimd asimddp\n")
    assert machine_facts(tmp_path)["isa"] == ["asimd", "asimddp"]


def test_versions_are_those_installed():
    from importlib.metadata import version

    packages = machine_facts()["packages"]
    assert packages["numpy"] == version("numpy")
    assert set(packages) >= {"onnxruntime", "ai-edge-litert", "tflite-runtime", "openvino"}


READ = (
    "proc/meminfo",
    "proc/loadavg",
    "proc/cpuinfo",
    "proc/stat",
    "proc/vmstat",
    "proc/uptime",
    "proc/pressure/cpu",
    "proc/self/cgroup",
    "proc/self/status",
    "proc/device-tree/model",
    "sys/class/dmi/id/product_name",
    "sys/class/thermal/thermal_zone0/type",
    "sys/class/thermal/thermal_zone0/temp",
    "sys/class/thermal/thermal_zone0/trip_point_0_type",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp",
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory.current",
    "usr/bin/vcgencmd",
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "garbage",
        ": : :\n:",
        "cpu x y\n",
        "MemTotal: much kB\nVmHWM:\n",
        "-1",
        "0 0",
        "\0",
    ],
    ids=repr,
)
def test_whatever_lies_in_the_files_the_facts_are_plain_data(tmp_path, text):
    for path in READ:
        put(tmp_path, path, text)
    facts = machine_facts(tmp_path)
    json.dumps(facts, allow_nan=False)
    assert facts["memory_mb"] is None and facts["clocks_mhz"] in (
        None,
        {"0": {"now": None, "max": None, "base": None}},
    )
    assert peak_memory(tmp_path) > 0


def test_folders_where_files_are_expected_tell_nothing(tmp_path):
    for path in READ:
        (tmp_path / path).mkdir(parents=True)
    facts = machine_facts(tmp_path)
    assert (facts["board"], facts["throttled"], facts["uptime_s"]) == (None, None, None)


def test_bytes_that_are_no_text_tell_nothing(tmp_path):
    for path in READ:
        put(tmp_path, path, "")
        (tmp_path / path).write_bytes(b"\xff\xfe\x00\x01")
    json.dumps(machine_facts(tmp_path), allow_nan=False)


def test_the_module_prints_the_facts_as_one_line():
    command = [sys.executable, "-m", "edgeferry.devices.machine"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.count("\n") == 1
    assert json.loads(printed).keys() == machine_facts().keys()


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
