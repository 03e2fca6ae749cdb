"""The sensors that tell energy or power, and what each of them leaves out."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgeferry.devices.sysfiles import read_number
from edgeferry.devices.throttling import vcgencmd
from edgeferry.system import read_text

_PACKAGE = re.compile(r"intel-rapl:\d+")
_METERS = re.compile(r"ina\d+|power_meter")
"""Names of hwmon devices that measure a supply; others tell of a GPU or a battery."""
_WHOLE_INPUT = re.compile(r"(.+_)?V?IN|TOTAL", re.IGNORECASE)
"""Labels of a channel through which all of the board's power flows, like VDD_IN of a Jetson."""
_RAIL = re.compile(r"^\s*(\S+)_([AV])\s.*=(\d+\.?\d*)[AV]\s*$", re.MULTILINE)


class PowerSensor(ABC):
    """Something that tells figures from which energy can be told."""

    name: str

    @abstractmethod
    def read(self) -> tuple[float, ...] | None:
        """Its figures now; None where it does not tell them."""

    @abstractmethod
    def joules(
        self, before: Sequence[float], after: Sequence[float], seconds: float
    ) -> float | None:
        """Energy between two readings; None where they do not tell."""


def find_power_sensor(root: Path = Path("/")) -> PowerSensor | None:
    """The first sensor that tells something: RAPL, hwmon, the chip of a Raspberry Pi 5."""
    for sensor in (Rapl(root), Hwmon(root), Pmic(root)):
        if sensor.read():
            return sensor
    return None


class Rapl(PowerSensor):
    """Counters of the packages of an Intel or AMD processor; the board is left out.

    Reading them takes root on most systems. Zones below a package are part of it, and the
    platform's zone (``psys``) holds the packages: neither is added.
    Source: Documentation/power/powercap/powercap.rst of the Linux kernel; microjoules.
    """

    def __init__(self, root: Path) -> None:
        self._zones = [
            zone
            for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*"))
            if _PACKAGE.fullmatch(zone.name) and read_text(zone / "name").startswith("package")
        ]
        self.name = "RAPL " + ", ".join(read_text(zone / "name") for zone in self._zones)

    def read(self) -> tuple[float, ...] | None:
        return _all(read_number(zone / "energy_uj") for zone in self._zones)

    def joules(
        self, before: Sequence[float], after: Sequence[float], seconds: float
    ) -> float | None:
        grown = _all(map(_grown, self._zones, before, after))
        return None if grown is None else sum(grown) / 1e6


class _Meter(PowerSensor):
    """A sensor of power, in watts."""

    def joules(
        self, before: Sequence[float], after: Sequence[float], seconds: float
    ) -> float | None:
        return (sum(before) + sum(after)) / 2 * seconds


@dataclass(frozen=True)
class _Channel:
    """One line that a chip measures: microwatts, or millivolts and milliamperes to multiply."""

    label: str
    files: tuple[Path, ...]

    def watts(self) -> float | None:
        figures = _all(read_number(file) for file in self.files)
        return None if figures is None else prod(figures) / 1e6


class Hwmon(_Meter):
    """A meter chip (INA219, INA3221 and their like), or the BIOS's meter.

    A channel through which the whole input flows is taken alone; where there is none, all
    are added. Sources: Documentation/hwmon/sysfs-interface.rst (microwatts; millivolts and
    milliamperes) and Documentation/hwmon/ina3221.rst of the Linux kernel.
    """

    def __init__(self, root: Path) -> None:
        devices = sorted(root.glob("sys/class/hwmon/hwmon*"))
        meters = [each for each in devices if _METERS.fullmatch(read_text(each / "name"))]
        channels = [channel for meter in meters for channel in _channels(meter)]
        whole = [each for each in channels if _WHOLE_INPUT.fullmatch(each.label)]
        self._channels = whole[:1] or channels
        names = dict.fromkeys(read_text(meter / "name") for meter in meters)
        self.name = f"{', '.join(names)}: {', '.join(each.label for each in self._channels)}"

    def read(self) -> tuple[float, ...] | None:
        return _all(channel.watts() for channel in self._channels)


class Pmic(_Meter):
    """The power chip of a Raspberry Pi 5: what its rails give, each volts times amperes.

    What is lost before the rails is left out, and so is what USB and the header take.
    Source: Raspberry Pi Ltd, "Extra PMIC features on Raspberry Pi 4, Raspberry Pi 5 and
    Compute Module 4"; each reading costs a process.
    """

    name = "Raspberry Pi PMIC, its rails"

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> tuple[float, ...] | None:
        return rail_watts(vcgencmd("pmic_read_adc", self._root)) or None


def rail_watts(text: str) -> tuple[float, ...]:
    """Watts of every rail of which ``vcgencmd pmic_read_adc`` tells volts and amperes."""
    told = {(rail, unit): float(value) for rail, unit, value in _RAIL.findall(text)}
    return tuple(
        volts * told[rail, "A"]
        for (rail, unit), volts in told.items()
        if unit == "V" and (rail, "A") in told
    )


def _channels(meter: Path) -> list[_Channel]:
    """The lines that a chip measures and something is connected to.

    An INA3221 has three; what is numbered higher are its shunts and the sum of its currents.
    """
    found = [channel for number in (1, 2, 3) if (channel := _channel(meter, number))]
    return [channel for channel in found if channel.label != "NC" and channel.watts() is not None]


def _channel(meter: Path, number: int) -> _Channel | None:
    """A line by its number: its mean power where that is told, else its power, else U and I."""
    for kind in ("average", "input"):
        if (file := meter / f"power{number}_{kind}").exists():
            return _Channel(read_text(meter / f"power{number}_label") or file.name, (file,))
    volts, amperes = meter / f"in{number}_input", meter / f"curr{number}_input"
    if volts.exists() and amperes.exists():
        return _Channel(read_text(meter / f"in{number}_label") or f"in{number}", (volts, amperes))
    return None


def _grown(zone: Path, before: float, after: float) -> float | None:
    """What a counter counted, which begins again at 0 after its largest value."""
    if after >= before:
        return after - before
    largest = read_number(zone / "max_energy_range_uj")
    return None if largest is None else after - before + largest


def _all(figures: Iterable[float | None]) -> tuple[float, ...] | None:
    """The figures, or None where one is missing."""
    found = tuple(figures)
    known = tuple(figure for figure in found if figure is not None)
    return known if len(known) == len(found) else None
