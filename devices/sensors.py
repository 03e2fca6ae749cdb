"""What the processor's own sensors tell, cheap enough to be read between turns."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgeferry.devices.processor import clock_folder, clock_now
from edgeferry.devices.temperature import celsius, processor_zones
from edgeferry.devices.throttling import file_word, program_word
from edgeferry.threads import usable_cpus

PROGRAM_EVERY = 5.0
"""Seconds between two calls of ``vcgencmd``, which costs a process."""


@dataclass(frozen=True)
class Reading:
    """The sensors at one moment; None where there is none.

    Attributes:
        temperature_c: The processor's hottest zone, degrees Celsius.
        clock_mhz: Clock of the fastest of the processors that this process may use: those that
            idle may be slow.
        throttled: Raspberry Pi's throttling word. Where the kernel does not tell it,
            ``vcgencmd`` does, and the word is up to ``PROGRAM_EVERY`` seconds old.
    """

    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: int | None = None


class Sensors:
    """Finds the sensors once, and reads them as often as wanted.

    Args:
        root: Where ``sys`` is found, and ``usr/bin`` unless it is ``/``.
        clock: Tells the time, in seconds.
    """

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._zones = processor_zones(root)
        self._clock_folders = [clock_folder(root, cpu) for cpu in usable_cpus()]
        self._throttled = self._by_program if file_word(root) is None else self._by_file
        self._word: int | None = None
        self._asked: float | None = None

    def read(self) -> Reading:
        """What the sensors tell now."""
        clocks = _known(map(clock_now, self._clock_folders))
        return Reading(
            max(_known(map(celsius, self._zones)), default=None),
            max(clocks, default=None),
            self._throttled(),
        )

    def _by_file(self) -> int | None:
        return file_word(self._root)

    def _by_program(self) -> int | None:
        now = self._clock()
        if self._asked is None or now >= self._asked + PROGRAM_EVERY:
            self._word, self._asked = program_word(self._root), now
        return self._word


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
