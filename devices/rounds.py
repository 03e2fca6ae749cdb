"""Measuring artifacts beside each other: in rounds, so that a slow spell hits all alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgeferry.artifact import artifact_files
from edgeferry.devices.machine import MIB, available_memory
from edgeferry.devices.measurement import Measurement, Plan, Trial, WarmUp
from edgeferry.devices.worker_process import WorkerProcess
from edgeferry.errors import EdgeferryError
from edgeferry.progress import Progress, silent

_SHARE_OF_MEMORY = 0.8
_BASE_MB, _PER_SIZE = 150, 3
"""What a process is taken to need: the engine, and the artifact in several forms on loading."""


def measure_group(
    trials: Sequence[Trial], plan: Plan, progress: Progress = silent
) -> tuple[list[Measurement], dict[Path, EdgeferryError]]:
    """Measure artifacts, each in a process of its own, in interleaved rounds.

    Only one runs at a time; the others are stopped. Where memory cannot hold all, each round
    has fresh processes, one after another.

    Args:
        trials: What to measure, e.g. the precisions of one format.
        plan: For how long.
        progress: Told at each turn.

    Returns:
        Measurements in the order given, and the errors of those that failed.
    """
    resident = fits(trials)
    failures: dict[Path, EdgeferryError] = {}
    with ExitStack() as stack:
        members = [_Member(trial, plan, resident) for trial in trials]
        for member in members:
            stack.callback(member.leave)
        turns = list(_turns(members, plan.rounds))
        for done, (number, member) in enumerate(turns, 1):
            progress(f"measuring in {trials[0].runtime}", done, len(turns))
            if member.trial.path in failures:
                continue
            try:
                member.take_turn(last=number == plan.rounds - 1)
            except EdgeferryError as error:
                failures[member.trial.path] = error
                member.leave()
    whole = [member for member in members if member.trial.path not in failures]
    return [member.measurement() for member in whole], failures


def fits(trials: Sequence[Trial], available: int | None = None) -> bool:
    """Whether memory holds all of them at once, by what such processes take.

    Args:
        trials: The ones to hold.
        available: Bytes; None asks the system.
    """
    free = available_memory() if available is None else available
    needed = sum(_BASE_MB * MIB + _PER_SIZE * _size(trial.path) for trial in trials)
    return free is None or needed <= _SHARE_OF_MEMORY * free


def _turns(members: Sequence[_Member], rounds: int) -> Iterator[tuple[int, _Member]]:
    """Every member in every round, forward and backward in turn, so that a drift cancels."""
    for number in range(rounds):
        for member in members if number % 2 == 0 else reversed(members):
            yield number, member


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in artifact_files(path))


class _Member:
    """One artifact of a group, and what is known of it so far."""

    def __init__(self, trial: Trial, plan: Plan, resident: bool) -> None:
        self.trial = trial
        self._plan = plan
        self._resident = resident
        self._worker: WorkerProcess | None = None
        self._first: dict[str, Any] = {}
        self._rounds: list[tuple[int, ...]] = []
        self._description: Mapping[str, Any] = {}

    def take_turn(self, last: bool) -> None:
        """Run for one slice, and stand aside again."""
        worker = self._ready()
        answer = worker.ask({"do": "measure", "seconds": self._plan.slice})
        self._rounds.append(tuple(answer["nanoseconds"]))
        if last:
            self._description = worker.ask({"do": "describe"})
        if self._resident and not last:
            worker.pause()
        else:
            self.leave()

    def leave(self) -> None:
        """Give back the memory."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def measurement(self) -> Measurement:
        """What came of all turns."""
        return Measurement(
            trial=self.trial,
            load_ms=self._first["load_ms"],
            first_ms=self._first["first_ms"],
            warm_up=WarmUp(**self._first["warm_up"]),
            rounds=tuple(self._rounds),
            batch=self._first["batch"],
            resident=self._resident,
            **self._description,
        )

    def _ready(self) -> WorkerProcess:
        """The process, warm and running."""
        if self._worker is not None:
            self._worker.resume()
            return self._worker
        self._worker = worker = WorkerProcess(self.trial)
        opened = worker.ask({"do": "open"})
        warm_up = worker.ask({"do": "warm_up", "seconds": self._plan.warm_up})
        self._first = self._first or {**opened, "warm_up": warm_up}
        return worker
