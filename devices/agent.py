"""What runs on a device: ``python -m edgeferry.devices.agent JOB.json``.

It needs numpy, Pillow and one engine; for the facts alone, the standard library. It measures,
tells events as JSON lines on standard output while it goes, and writes no file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeferry.devices.job import Event, EventKind, Job
from edgeferry.devices.machine import machine_facts
from edgeferry.devices.measurement import Measurement, Slice, Trial
from edgeferry.devices.processes import die_with_parent
from edgeferry.devices.rounds import Instruments, measure_group
from edgeferry.devices.tuning import candidates, tune
from edgeferry.devices.worker_process import WorkerInside, WorkerProcess
from edgeferry.errors import DeviceLostError, EdgeferryError, described_error
from edgeferry.streams import private_stdout

Tell = Callable[[Event], None]


class Agent:
    """Does one job.

    Args:
        job: What to do.
        tell: Takes each event.
        instruments: What to measure with.
        facts: Tells of the machine that is measured.
        ways: Every way to run an artifact that is worth trying.
    """

    def __init__(
        self,
        job: Job,
        tell: Tell,
        instruments: Instruments,
        facts: Callable[[], dict[str, Any]] = machine_facts,
        ways: Callable[[Trial], list[Trial]] = candidates,
    ) -> None:
        self._job = job
        self._tell = tell
        self._instruments = instruments
        self._facts = facts
        self._ways = ways
        self._numbers: dict[Trial, int] = {}

    def work(self) -> None:
        """Measure everything; what fails is told, and does not stop the rest."""
        self._say("facts", None, {"when": "before", "facts": self._facts()})
        self._numbers = dict(self._options())
        trials = list(self._numbers)
        if self._job.plan.rounds:
            trials = self._beside_each_other(trials)
        if self._job.plan.sustained:
            for trial in trials:
                self._sustain(trial)
        self._say("facts", None, {"when": "after", "facts": self._facts()})
        self._say("done", None, {})

    def _beside_each_other(self, trials: Sequence[Trial]) -> list[Trial]:
        """Measure in rounds; those that could be are given back."""
        taken = self._taken("slice")
        measured, failures = measure_group(trials, self._job.plan, self._instruments, taken)
        for each in measured:
            self._say("measured", each.trial, _told(each))
        for trial, error in failures.items():
            self._fail(trial, error)
        return [each.trial for each in measured]

    def _options(self) -> list[tuple[Trial, int]]:
        """The trials, with the options they run best with where that is asked for."""
        found = []
        for number, trial in enumerate(self._job.trials):
            try:
                found.append((self._tuned(trial, number) if self._job.tune else trial, number))
            except DeviceLostError:
                raise
            except EdgeferryError as error:
                self._tell(Event("failed", number, {"error": described_error(error, "tuning")}))
        return found

    def _tuned(self, trial: Trial, number: int) -> Trial:
        best, rungs = tune(self._ways(trial), self._instruments)
        told = [
            [{"trial": each.to_dict(), "p50_ms": p50} for each, p50 in rung.medians_ms]
            for rung in rungs
        ]
        self._tell(Event("tuned", number, {"best": best.to_dict(), "rungs": told}))
        return best

    def _sustain(self, trial: Trial) -> None:
        alone, taken = self._job.plan.alone(), self._taken("sustaining")
        measured, failures = measure_group([trial], alone, self._instruments, taken)
        for error in failures.values():
            self._fail(trial, error)
        for each in measured:
            self._say("sustained", each.trial, {})

    def _taken(self, kind: EventKind) -> Callable[[Trial, int, Slice], None]:
        def taken(trial: Trial, number: int, turn: Slice) -> None:
            self._say(kind, trial, {"round": number, "slice": asdict(turn)})

        return taken

    def _fail(self, trial: Trial, error: EdgeferryError) -> None:
        self._say("failed", trial, {"error": described_error(error, "measuring")})

    def _say(self, kind: EventKind, trial: Trial | None, content: Mapping[str, Any]) -> None:
        number = None if trial is None else self._numbers[trial]
        self._tell(Event(kind, number, content))


def _told(measurement: Measurement) -> dict[str, Any]:
    return {"options": measurement.trial.to_dict(), "run": asdict(measurement.run)}


def main() -> None:
    """Do the job in the file that the first argument names."""
    die_with_parent()
    answers = private_stdout()

    def tell(event: Event) -> None:
        answers.write(event.to_json() + "\n")
        answers.flush()

    job = Job.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    instruments = Instruments(WorkerProcess if job.children else WorkerInside)
    Agent(job, tell, instruments).work()


if __name__ == "__main__":
    main()
