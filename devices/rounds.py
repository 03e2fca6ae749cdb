"""Measuring artifacts beside each other: in rounds, so that a slow spell hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgeferry.artifact import artifact_files
from edgeferry.devices.energy import EnergyMeter
from edgeferry.devices.layer_timing import LayerTiming
from edgeferry.devices.machine import MIB, available_memory
from edgeferry.devices.measurement import Measurement, Plan, Run, Slice, Trial
from edgeferry.devices.sensors import Sensors
from edgeferry.devices.worker_process import WorkerProcess
from edgeferry.errors import DeviceLostError, EdgeferryError

Taken = Callable[[Trial, int, Slice], None]
"""Told of each turn: whose, the round's number, and what came of it."""

_SHARE_OF_MEMORY = 0.8
_BASE_MB, _PER_SIZE = 150, 3
"""What a process is taken to need: the engine, and the artifact in several forms on loading."""
_PROFILED = 10
"""Inferences whose layers are timed."""


class Worker(Protocol):
    """What runs one artifact and times it."""

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Give a command and wait for its answer."""

    def pause(self) -> None:
        """Keep still while others run."""

    def resume(self) -> None:
        """Be ready again."""

    def close(self) -> None:
        """Give back everything."""


@dataclass(frozen=True)
class Instruments:
    """What a measurement is taken with.

    Attributes:
        start: Starts the worker of a trial.
        summarized: Whether workers are programs elsewhere, which hold no memory here and tell a
            median alone.
        sensors: Read after each turn.
        energy: Read around each turn.
    """

    start: Callable[[Trial], Worker] = WorkerProcess
    summarized: bool = False
    sensors: Sensors = field(default_factory=Sensors)
    energy: EnergyMeter = field(default_factory=EnergyMeter)


def measure_group(
    trials: Sequence[Trial], plan: Plan, instruments: Instruments, taken: Taken
) -> tuple[list[Measurement], dict[Trial, EdgeferryError]]:
    """Measure artifacts, each in a process of its own, in interleaved rounds.

    Only one runs at a time; the others are stopped. Where memory cannot hold all, each round
    has fresh processes, one after another.

    Args:
        trials: What to measure, e.g. the precisions of one format.
        plan: For how long.
        instruments: What with.
        taken: Told of each turn.

    Returns:
        Measurements in the order given, and the errors of those that failed.

    Raises:
        DeviceLostError: If what runs them is on a device that was lost.
    """
    started = time.monotonic()
    resident = len(trials) == 1 or instruments.summarized or fits(trials)
    failures: dict[Trial, EdgeferryError] = {}
    with ExitStack() as stack:
        members = [_Member(trial, plan, resident, instruments) for trial in trials]
        for member in members:
            stack.callback(member.leave)
        for number, member in _turns(members, plan.rounds):
            if member.trial in failures:
                continue
            try:
                turn = member.take_turn(started, last=number == plan.rounds - 1)
            except DeviceLostError:
                raise
            except EdgeferryError as error:
                failures[member.trial] = error
                member.leave()
            else:
                taken(member.trial, number, turn)
    whole = [member for member in members if member.trial not in failures]
    return [member.measurement() for member in whole], failures


def fits(trials: Sequence[Trial], available: int | None = None) -> bool:
    """Whether memory holds all of them at once, by what such processes take.

    Args:
        trials: The ones to hold.
        available: Bytes; None asks the system.
    """
    free = available_memory() if available is None else available
    needed = sum(_BASE_MB * MIB + _PER_SIZE * _size(Path(trial.path)) for trial in trials)
    return free is None or needed <= _SHARE_OF_MEMORY * free


def _turns(members: Sequence[_Member], rounds: int) -> Iterator[tuple[int, _Member]]:
    """Every member in every round, forward and backward in turn, so that a drift cancels."""
    for number in range(rounds):
        for member in members if number % 2 == 0 else reversed(members):
            yield number, member


def _layer_timing(worker: Worker) -> LayerTiming:
    """Times of the layers; a profiler that fails, or ends the process, costs these alone."""
    try:
        return LayerTiming.from_dict(worker.ask({"do": "profile", "runs": _PROFILED}))
    except DeviceLostError:
        raise
    except EdgeferryError as error:
        return LayerTiming("", 0, (), error.problem)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in artifact_files(path) if file.is_file())


class _Member:
    """One artifact of a group, and what is known of it so far."""

    def __init__(self, trial: Trial, plan: Plan, resident: bool, instruments: Instruments) -> None:
        self.trial = trial
        self._plan = plan
        self._resident = resident
        self._instruments = instruments
        self._worker: Worker | None = None
        self._first: dict[str, Any] = {}
        self._slices: list[Slice] = []
        self._description: dict[str, Any] = {}

    def take_turn(self, started: float, last: bool) -> Slice:
        """Run for one slice, and stand aside again."""
        worker = self._ready()
        turn = self._slice(worker, started)
        self._slices.append(turn)
        if last:
            self._description = worker.ask({"do": "describe"})
            if self._plan.profile:
                self._description |= {"layers": asdict(_layer_timing(worker))}
        if self._resident and not last:
            worker.pause()
        else:
            self.leave()
        return turn

    def leave(self) -> None:
        """Give back the memory."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def measurement(self) -> Measurement:
        """What came of all turns."""
        told = {**self._first, **self._description, "resident": self._resident}
        told["summarized"] = self._instruments.summarized
        return Measurement(self.trial, Run.from_dict(told), tuple(self._slices))

    def _slice(self, worker: Worker, started: float) -> Slice:
        worker.ask({"do": "settle"})
        self._instruments.energy.start()
        timed = worker.ask({"do": "measure", "seconds": self._plan.slice})
        joules = self._instruments.energy.stop()
        reading = self._instruments.sensors.read()
        seconds = self._plan.slice * self._plan.picture_share
        whole = worker.ask({"do": "predict", "seconds": seconds}) if seconds else {}
        return Slice(
            nanoseconds=tuple(timed["nanoseconds"]),
            pictures=tuple(whole.get("nanoseconds", ())),
            seconds=time.monotonic() - started,
            joules=joules,
            **asdict(reading),
        )

    def _ready(self) -> Worker:
        """The process, warm and running."""
        if self._worker is not None:
            self._worker.resume()
            return self._worker
        self._worker = worker = self._instruments.start(self.trial)
        opened = worker.ask({"do": "open"})
        warm_up = worker.ask({"do": "warm_up", "seconds": self._plan.warm_up})
        self._first = self._first or {**opened, "warm_up": warm_up}
        return worker
