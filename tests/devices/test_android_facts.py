"""What a phone's shell tells becomes the facts that other machines tell of themselves."""

from __future__ import annotations

import pytest
from device_ends.adb import PROPERTIES

from edgeferry.devices.android_facts import android_facts
from edgeferry.devices.device import Completed, DeviceSettings
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.machine import machine_facts
from edgeferry.devices.registry import open_device
from edgeferry.errors import DeviceError

pytest_plugins = ["device_ends.adb"]

CPU = "/sys/devices/system/cpu"
PHONE = f"""\
/proc/cpuinfo:processor\t: 0
/proc/cpuinfo:Features\t: fp asimd asimdhp asimddp i8mm
/proc/cpuinfo:
/proc/cpuinfo:processor\t: 1
/proc/cpuinfo:Features\t: fp asimd asimddp
/proc/meminfo:MemTotal:        7840000 kB
/proc/meminfo:MemAvailable:    3136000 kB
/proc/loadavg:1.25 1.50 1.75 3/4000 12345
/proc/vmstat:pswpin 12
/proc/vmstat:pswpout 34
{CPU}/online:0-3,6
{CPU}/cpu0/cpufreq/scaling_governor:schedutil
{CPU}/cpu0/cpufreq/scaling_cur_freq:1804800
{CPU}/cpu0/cpufreq/cpuinfo_max_freq:3187200
{CPU}/cpu0/topology/thread_siblings_list:0
/sys/class/thermal/thermal_zone0/type:cpu-0-0-usr
/sys/class/thermal/thermal_zone0/temp:41500
/sys/class/thermal/thermal_zone1/type:battery
/sys/class/thermal/thermal_zone1/temp:30000
[uname.release]: [5.15.0-android14]
[uname.machine]: [aarch64]
[ro.product.manufacturer]: [Rok]
[ro.product.model]: [Rok 7]
[ro.soc.manufacturer]: [QTI]
[ro.soc.model]: [SM8550]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
"""


class Telling(LocalDevice):
    """A device whose every command prints the same."""

    text = ""

    def _run(self, command, listen):
        return Completed(0, self.text)


@pytest.fixture
def facts():
    """Gives the facts of a phone that tells a text."""

    def told(text):
        with Telling(DeviceSettings("rok")) as device:
            device.text = text
            return android_facts(device)

    return told


def test_a_phone_tells_its_facts(facts):
    found = facts(PHONE)
    expected = {
        "system": "Android 14",
        "android_api": 34,
        "abi": "arm64-v8a",
        "kernel": "5.15.0-android14",
        "architecture": "aarch64",
        "board": "Rok 7",
        "processor": "QTI SM8550",
        "isa": ["asimd", "asimddp"],
        "logical_cpus": 5,
        "usable_cpus": [0, 1, 2, 3, 6],
        "physical_cores": 5,
        "governor": "schedutil",
        "clocks_mhz": {"0": {"now": 1804.8, "max": 3187.2, "base": None}},
        "temperatures_c": {"0:cpu-0-0-usr": 41.5, "1:battery": 30.0},
        "temperature_c": 41.5,
        "memory_mb": 7656,
        "available_mb": 3062,
        "load_average": 1.25,
        "pages_swapped_out": 34,
        "virtualized": None,
    }
    assert {name: found[name] for name in expected} == expected


def test_an_emulator_is_told(facts):
    assert facts("[ro.boot.qemu]: [1]\n")["virtualized"] is True


def test_nothing_of_this_machine_is_taken_for_the_phones(facts):
    found = facts("")
    assert {name for name, value in found.items() if value is not None} == set()
    assert set(found) >= set(machine_facts())


@pytest.mark.parametrize(
    "garbage",
    [
        "\0\0\x1b[31m\ufffd",
        "/proc/../../../etc/passwd:root",
        f"/proc/{'a' * 300}:x",
        f"/{'/'.join(['proc', *['a'] * 3000])}:x",
        "/proc/meminfo/more:x",
        "/proc/meminfo:MemTotal: much kB",
        "[ro.build.version.sdk]: [²]",
        "[]: []\n[[]: []]",
        f"{CPU}/online:9-1,x,-,99999999999999999999",
        f"{CPU}/cpu0/cpufreq/scaling_cur_freq:fast",
        "/proc/stat:cpu x y z",
    ],
)
def test_garbage_is_no_failure(facts, garbage):
    found = facts(f"{garbage}\n{PHONE}\n{garbage}")
    assert found["board"] == "Rok 7"


def test_a_real_shell_tells_them_in_one_command(phone):
    with open_device(DeviceSettings("rok", f"adb://{phone.serial}")) as device:
        found = android_facts(device)
    here = machine_facts()
    assert found["board"] == PROPERTIES["ro.product.model"]
    assert found["memory_mb"] == here["memory_mb"]
    assert found["isa"] == here["isa"]
    assert found["kernel"] == here["kernel"]


def test_a_phone_that_is_gone_is_an_error(phone):
    phone.die()
    with (
        open_device(DeviceSettings("rok", f"adb://{phone.serial}")) as device,
        pytest.raises(DeviceError, match="cannot be reached"),
    ):
        android_facts(device)
