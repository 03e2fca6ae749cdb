"""What makes a run doubtful: marks, from the facts before and after it and the sensors meanwhile.

Facts may come from any device: what is missing in them, or of another type, tells nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from edgeferry.devices.sysfiles import number, whole
from edgeferry.devices.throttling import SINCE_BOOT

SLOW_CLOCK = 0.9
"""Share of the processor's clock below which it is slow."""
STEAL = 0.01
"""Share of the processors' time that other virtual machines may take."""
OTHERS = 0.1
"""Share of the processors' time that other work may take."""
WAITING = 0.1
"""Share of the time in which tasks may wait for a processor."""
LOAD = 0.5
"""Load that there may be before the run, for each processor."""

Facts = Mapping[str, Any]


class Sensed(Protocol):
    """What the sensors told at one moment, like a ``Reading``."""

    @property
    def temperature_c(self) -> float | None: ...
    @property
    def clock_mhz(self) -> float | None: ...
    @property
    def throttled(self) -> int | None: ...


@dataclass(frozen=True)
class Mark:
    """A reason to doubt a run.

    Attributes:
        name: A short word that stays the same.
        text: What happened, as a sentence without its full stop.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Conditions:
    """What is known of the time of a run.

    Attributes:
        before: The machine's facts before it.
        after: The same after it.
        readings: The sensors meanwhile.
    """

    before: Facts | None
    after: Facts | None
    readings: Sequence[Sensed] = ()

    def counted(self, *keys: str) -> float | None:
        """How far a counter went; None where it is not told, or began anew in between."""
        began, ended = _number(self.before, *keys), _number(self.after, *keys)
        if began is None or ended is None or ended < began:
            return None
        return ended - began


def marks(before: Facts | None, after: Facts | None, readings: Sequence[Sensed]) -> list[Mark]:
    """Everything that makes a run doubtful; nothing where nothing is told.

    Args:
        before: ``machine_facts`` before the run.
        after: The same after it.
        readings: The sensors meanwhile.
    """
    conditions = Conditions(before, after, readings)
    kinds = (
        _throttled,
        _under_voltage,
        _frequency_capped,
        _soft_temperature_limit,
        _slow_clock,
        _hot,
        _swapped,
        _starved,
    )
    return [mark for kind in kinds if (mark := kind(conditions))]


def _under_voltage(run: Conditions) -> Mark | None:
    return _by_firmware(run, 0, Mark("under-voltage", "the supply's voltage was too low"))


def _frequency_capped(run: Conditions) -> Mark | None:
    return _by_firmware(run, 1, Mark("frequency-capped", "the firmware capped the clock"))


def _throttled(run: Conditions) -> Mark | None:
    return _by_firmware(run, 2, Mark("throttled", "the firmware throttled the processor"))


def _soft_temperature_limit(run: Conditions) -> Mark | None:
    text = "the processor was at its soft temperature limit"
    return _by_firmware(run, 3, Mark("soft-temperature-limit", text))


def _slow_clock(run: Conditions) -> Mark | None:
    clocks = [clock for each in run.readings if (clock := number(each.clock_mhz)) is not None]
    full = _full_clock(run.before) or _full_clock(run.after)
    if not clocks or not full or median(clocks) >= SLOW_CLOCK * full:
        return None
    return Mark("slow-clock", f"the processor ran at {median(clocks):.0f} MHz of {full:.0f} MHz")


def _hot(run: Conditions) -> Mark | None:
    told = [_number(facts, "temperature_c") for facts in (run.before, run.after)]
    told += [number(each.temperature_c) for each in run.readings]
    highest = max((each for each in told if each is not None), default=None)
    limit = _number(run.before, "trip_c") or _number(run.after, "trip_c")
    if highest is None or limit is None or not 0 < limit <= highest:
        return None
    return Mark("hot", f"the processor was at {highest:.0f} °C; its trip point is {limit:.0f} °C")


def _swapped(run: Conditions) -> Mark | None:
    pages = (run.counted("pages_swapped_in") or 0) + (run.counted("pages_swapped_out") or 0)
    return Mark("swapped", f"{pages:.0f} pages were swapped in or out") if pages else None


def _starved(run: Conditions) -> Mark | None:
    reasons = "; ".join(filter(None, (_stolen(run), _waited(run), _others(run))))
    return Mark("starved", reasons) if reasons else None


def _stolen(run: Conditions) -> str | None:
    stolen, ticks = run.counted("processor_ticks", "steal"), run.counted("processor_ticks", "all")
    if not stolen or not ticks or stolen <= STEAL * ticks:
        return None
    return f"other virtual machines took {stolen / ticks:.0%} of the processors' time"


def _waited(run: Conditions) -> str | None:
    waited, seconds = run.counted("cpu_pressure", "total_us"), run.counted("uptime_s")
    if not waited or not seconds or waited <= WAITING * seconds * 1e6:
        return None
    return f"tasks waited for a processor in {waited / seconds / 1e6:.0%} of the time"


def _others(run: Conditions) -> str | None:
    """What other work took of the processors; where that is not told, the load before the run."""
    busy, ticks = run.counted("processor_ticks", "busy"), run.counted("processor_ticks", "all")
    own = run.counted("own_ticks")
    if busy is None or own is None or not ticks:
        return _loaded(run)
    if busy - own <= OTHERS * ticks:
        return None
    return f"other work took {(busy - own) / ticks:.0%} of the processors' time"


def _loaded(run: Conditions) -> str | None:
    """Load before the run, if something ran at that moment.

    The average alone would be that of an earlier measurement: it takes minutes to fall. After
    the run it is the run's own.
    """
    load, cpus = _number(run.before, "load_average"), _number(run.before, "logical_cpus")
    runnable = _number(run.before, "runnable_tasks")
    if load is None or not cpus or load <= LOAD * cpus or runnable == 1:
        return None
    return f"the load was {load:.1f} on {cpus:.0f} processors before the run"


def _by_firmware(run: Conditions, bit: int, mark: Mark) -> Mark | None:
    """The mark, where a bit of Raspberry Pi's throttling word tells of now or of since boot."""
    now, ever = 1 << bit, 1 << bit + SINCE_BOOT
    before = _word(_number(run.before, "throttled", "raw"))
    words = [before or 0, *(_word(each.throttled) or 0 for each in run.readings)]
    words.append(_word(_number(run.after, "throttled", "raw")) or 0)
    begun = before is not None and not before & ever
    if any(word & now or (begun and word & ever) for word in words):
        return Mark(mark.name, f"{mark.text} during the run")
    if any(word & ever for word in words):
        return Mark(mark.name, f"{mark.text} since boot; whether in the run cannot be told")
    return None


def _full_clock(facts: object) -> float | None:
    """MHz that the processors keep up, or may reach where that is not told."""
    told = _value(facts, "clocks_mhz")
    cpus = _value(facts, "usable_cpus")
    names = map(str, cpus) if isinstance(cpus, list) else told if isinstance(told, Mapping) else ()
    clocks = [_number(told, name, "base") or _number(told, name, "max") for name in names]
    known = [clock for clock in clocks if clock and clock > 0]
    return median(known) if known else None


def _word(value: object) -> int | None:
    word = whole(value)
    return word if word is not None and word >= 0 else None


def _number(facts: object, *keys: str) -> float | None:
    return number(_value(facts, *keys))


def _value(facts: object, *keys: str) -> object:
    """What lies under keys within keys; None where nothing does."""
    for key in keys:
        facts = facts.get(key) if isinstance(facts, Mapping) else None
    return facts
