"""Energy as the sensors of made-up machines tell it."""

from pathlib import Path

import pytest

from edgeferry.devices.energy import EnergyMeter
from edgeferry.devices.power_sensors import rail_watts

RAPL = "sys/class/powercap"
HWMON = "sys/class/hwmon"
ADC = """\
     3V3_SYS_A current(1)=0.50000000A
    VDD_CORE_A current(7)=2.00000000A
     3V3_SYS_V volt(9)=3.30000000V
    VDD_CORE_V volt(15)=0.80000000V
       EXT5V_V volt(24)=5.10000000V
        BATT_V volt(25)=0.00341880V
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def put_all(root: Path, folder: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        put(root, f"{folder}/{name}", text)


def put_zone(root: Path, zone: str, name: str, microjoules: int) -> None:
    files = {"name": name, "max_energy_range_uj": "1000000000", "energy_uj": str(microjoules)}
    put_all(root, f"{RAPL}/{zone}", files)


def test_the_packages_are_added_and_nothing_twice(tmp_path):
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for zone, name in zones.items():
        put_zone(tmp_path, zone, name, 5_000_000)
    meter = EnergyMeter(tmp_path)
    meter.start()
    for zone, name in zones.items():
        put_zone(tmp_path, zone, name, 8_000_000)
    assert meter.stop() == pytest.approx(6.0)
    assert meter.source == "RAPL package-0, package-1"


def test_a_counter_that_began_anew_went_through_its_largest_value(tmp_path):
    put_zone(tmp_path, "intel-rapl:0", "package-0", 999_000_000)
    meter = EnergyMeter(tmp_path)
    meter.start()
    put_zone(tmp_path, "intel-rapl:0", "package-0", 2_000_000)
    assert meter.stop() == pytest.approx(3.0)


def test_a_counter_that_began_anew_at_an_unknown_value_tells_nothing(tmp_path):
    put_zone(tmp_path, "intel-rapl:0", "package-0", 999_000_000)
    meter = EnergyMeter(tmp_path)
    meter.start()
    put_zone(tmp_path, "intel-rapl:0", "package-0", 2_000_000)
    (tmp_path / RAPL / "intel-rapl:0/max_energy_range_uj").unlink()
    assert meter.stop() is None


def test_counters_that_only_root_may_read_are_none(tmp_path):
    put(tmp_path, f"{RAPL}/intel-rapl:0/name", "package-0")
    assert EnergyMeter(tmp_path).source is None


def test_power_is_taken_at_both_ends(tmp_path):
    clock = Clock()
    files = {"name": "ina219", "power1_input": "3000000", "in1_input": "5000", "curr1_input": "600"}
    put_all(tmp_path, f"{HWMON}/hwmon2", files)
    meter = EnergyMeter(tmp_path, clock)
    meter.start()
    put(tmp_path, f"{HWMON}/hwmon2/power1_input", "5000000")
    clock.now += 2.5
    assert meter.stop() == pytest.approx(10.0)
    assert meter.source == "ina219: power1_input"


def channels(*labels: str) -> dict[str, str]:
    """Files of an INA3221 with 5 V and 1 A on each channel, and of its shunts and their sum."""
    files = {"name": "ina3221", "in4_input": "10000", "curr4_input": "3000"}
    for number, label in enumerate(labels, 1):
        files |= {f"in{number}_label": label, f"in{number}_input": "5000"}
        files[f"curr{number}_input"] = "1000"
    return files


@pytest.mark.parametrize(
    ("files", "source", "joules"),
    [
        (channels("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), "ina3221: VDD_IN", 5.0),
        (channels("GPU", "CPU", "NC"), "ina3221: GPU, CPU", 10.0),
        (
            {"name": "power_meter", "power1_average": "40000000", "power1_input": "1"},
            "power_meter: power1_average",
            40.0,
        ),
    ],
)
def test_the_whole_input_is_measured_where_a_channel_tells_it(tmp_path, files, source, joules):
    clock = Clock()
    put_all(tmp_path, f"{HWMON}/hwmon0", files)
    meter = EnergyMeter(tmp_path, clock)
    meter.start()
    clock.now += 1
    assert (meter.source, meter.stop()) == (source, pytest.approx(joules))


@pytest.mark.parametrize("name", ["amdgpu", "BAT0", "nvme"])
def test_what_measures_something_else_is_no_sensor(tmp_path, name):
    put_all(tmp_path, f"{HWMON}/hwmon0", {"name": name, "power1_average": "3000000"})
    assert EnergyMeter(tmp_path).source is None


def put_program(root: Path, answer: str) -> None:
    put(root, "answer", answer)
    script = f'#!/bin/sh\ntest "$1" = pmic_read_adc && cat {root}/answer\n'
    put(root, "usr/bin/vcgencmd", script)
    (root / "usr/bin/vcgencmd").chmod(0o755)


def test_the_rails_of_a_pi_5_are_added(tmp_path):
    clock = Clock()
    put_program(tmp_path, ADC)
    meter = EnergyMeter(tmp_path, clock)
    meter.start()
    clock.now += 10
    assert meter.stop() == pytest.approx(10 * (0.5 * 3.3 + 2.0 * 0.8))
    assert meter.source == "Raspberry Pi PMIC, its rails"


def test_only_rails_with_volts_and_amperes_count():
    assert rail_watts(ADC) == pytest.approx((1.65, 1.6))
    assert rail_watts("3V3_SYS_A current(1)=0.5A\n3V3_SYS_V volt(9)=...V\n") == ()


def test_a_pi_without_the_chip_has_no_sensor(tmp_path):
    put_program(tmp_path, 'error=1 error_msg="Command not registered"\n')
    assert EnergyMeter(tmp_path).source is None


def test_a_sensor_that_falls_silent_tells_nothing(tmp_path):
    put_all(tmp_path, f"{HWMON}/hwmon0", {"name": "ina219", "power1_input": "3000000"})
    meter = EnergyMeter(tmp_path)
    meter.start()
    put(tmp_path, f"{HWMON}/hwmon0/power1_input", "")
    assert meter.stop() is None


def test_without_sensor_or_start_there_is_no_energy(tmp_path):
    bare = EnergyMeter(tmp_path)
    bare.start()
    assert (bare.source, bare.stop()) == (None, None)
    put_zone(tmp_path, "intel-rapl:0", "package-0", 1)
    assert EnergyMeter(tmp_path).stop() is None
