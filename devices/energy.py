"""Energy that the machine took, where a sensor tells: often there is none."""

import time
from collections.abc import Callable
from pathlib import Path

from edgeferry.devices.power_sensors import PowerSensor, find_power_sensor


class EnergyMeter:
    """Measures from ``start`` to ``stop``, with the first sensor found.

    RAPL counts energy. The others tell the power of a moment: there it is the mean of the power
    at both ends times the time between, so that short pieces of even work are measured best.

    Args:
        root: Where ``sys`` is found, and ``usr/bin`` unless it is ``/``.
        clock: Tells the time, in seconds.
    """

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._sensor: PowerSensor | None = find_power_sensor(root)
        self._clock = clock
        self._began: tuple[float, tuple[float, ...] | None] | None = None

    @property
    def source(self) -> str | None:
        """Name of the sensor and of what it measures; None where there is none."""
        return None if self._sensor is None else self._sensor.name

    def start(self) -> None:
        """Begin anew."""
        if self._sensor is not None:
            self._began = self._clock(), self._sensor.read()

    def stop(self) -> float | None:
        """Joules since ``start``; None where no sensor told both times, or it was not called."""
        if self._sensor is None or self._began is None:
            return None
        (then, before), self._began = self._began, None
        after, seconds = self._sensor.read(), self._clock() - then
        if before is None or after is None:
            return None
        return self._sensor.joules(before, after, seconds)
