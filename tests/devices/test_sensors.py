"""Sensors and Raspberry Pi's throttling word, of made-up machines."""

from pathlib import Path

import pytest

from edgeferry.devices.sensors import PROGRAM_EVERY, Reading, Sensors
from edgeferry.devices.throttling import decoded, throttling
from edgeferry.threads import usable_cpus

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ZONES = "sys/class/thermal/thermal_zone"


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def put_program(root: Path, script: str) -> None:
    put(root, "usr/bin/vcgencmd", f"#!/bin/sh\n{script}\n")
    (root / "usr/bin/vcgencmd").chmod(0o755)


def put_clocks(root: Path, kilohertz: str) -> None:
    for cpu in usable_cpus():
        put(root, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", kilohertz)


def test_a_pi_tells_temperature_clock_and_throttling(tmp_path):
    put(tmp_path, f"{ZONES}0/type", "cpu-thermal\n")
    put(tmp_path, f"{ZONES}0/temp", "82500\n")
    put(tmp_path, FIRMWARE, "e0008\n")
    put_clocks(tmp_path, "600000\n")
    assert Sensors(tmp_path).read() == Reading(82.5, 600.0, 0xE0008)


def test_the_hottest_zone_of_the_processor_counts_and_no_other(tmp_path):
    zones = {"cpu0-thermal": "61000", "cpu1-thermal": "63000", "iwlwifi_1": "90000"}
    for number, (kind, temperature) in enumerate(zones.items()):
        put(tmp_path, f"{ZONES}{number}/type", kind)
        put(tmp_path, f"{ZONES}{number}/temp", temperature)
    assert Sensors(tmp_path).read().temperature_c == 63.0


def test_sensors_follow_the_machine(tmp_path):
    put_clocks(tmp_path, "1500000\n")
    sensors = Sensors(tmp_path)
    before = sensors.read()
    put_clocks(tmp_path, "1000000\n")
    assert (before.clock_mhz, sensors.read().clock_mhz) == (1500.0, 1000.0)


@pytest.mark.parametrize("text", ["", "warm", "-274000", "999999999", "nan"])
def test_a_sensor_that_tells_nonsense_tells_nothing(tmp_path, text):
    put(tmp_path, f"{ZONES}0/type", "cpu-thermal\n")
    put(tmp_path, f"{ZONES}0/temp", text)
    put(tmp_path, FIRMWARE, "?")
    put_clocks(tmp_path, "fast")
    assert Sensors(tmp_path).read() == Reading(None, None, None)


def test_a_machine_without_sensors_reads_as_nothing(tmp_path):
    assert Sensors(tmp_path).read() == Reading(None, None, None)


def test_the_program_is_asked_only_now_and_then(tmp_path):
    put_program(tmp_path, f"echo call >> {tmp_path}/calls; echo throttled=0x50005")
    now = [0.0]
    sensors = Sensors(tmp_path, clock=lambda: now[0])
    words = [sensors.read().throttled for _ in range(5)]
    now[0] = PROGRAM_EVERY
    words.append(sensors.read().throttled)
    assert words == [0x50005] * 6
    assert (tmp_path / "calls").read_text().count("call") == 2


def test_the_program_is_not_asked_where_the_kernel_tells(tmp_path):
    put_program(tmp_path, f"touch {tmp_path}/called; echo throttled=0x0")
    put(tmp_path, FIRMWARE, "50005\n")
    assert Sensors(tmp_path).read().throttled == 0x50005
    assert not (tmp_path / "called").exists()


def test_each_bit_of_the_word_has_its_name():
    names = ["under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"]
    for bit, name in enumerate(names):
        now, ever = decoded(1 << bit), decoded(1 << bit + 16)
        assert [key for key, value in now["now"].items() if value] == [name]
        assert [key for key, value in ever["since_boot"].items() if value] == [name]
        assert not any(now["since_boot"].values()) and not any(ever["now"].values())


def test_the_firmware_remembers_more_than_the_kernel_and_is_asked_first(tmp_path):
    put(tmp_path, FIRMWARE, "0\n")
    put_program(tmp_path, 'test "$1" = get_throttled && echo throttled=0x50000')
    assert throttling(tmp_path)["since_boot"]["under_voltage"]


@pytest.mark.parametrize("script", ["exit 1", "echo error=1", "echo throttled=soon", "kill $$"])
def test_where_the_program_fails_the_kernel_is_asked(tmp_path, script):
    put_program(tmp_path, script)
    assert throttling(tmp_path) is None
    put(tmp_path, FIRMWARE, "50005\n")
    assert throttling(tmp_path)["raw"] == 0x50005


def test_the_file_of_a_pi_5_is_found_below_its_other_name(tmp_path):
    path = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    put(tmp_path, path, "4\n")
    assert throttling(tmp_path)["now"]["throttled"]


def test_other_machines_have_no_word(tmp_path):
    assert throttling(tmp_path) is None
