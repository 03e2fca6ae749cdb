"""Kill commands with SIGKILL at random moments, and finish them with ``--resume``.

    .venv/bin/python tests/crash/sigkill.py export replace bundle benchmark evaluate --kills 10

Says of each kill what was left, and in the end whether ever a file under its final name was not
whole, or a resumed run gave other bytes than one that was left alone. ``replace`` is an export
over an older one. ``bundle`` needs the network. No test of the suite, which has a short one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import read_pictures, small_network, to_tf

from crash.trials import BundleTrial, ExportTrial, ResultsTrial, Trial

_LATEST = 0.98
"""Share of an undisturbed run's time by which it is killed."""


@dataclass(frozen=True)
class Kill:
    """One kill, and what came after it.

    Attributes:
        moment: Seconds after the start.
        finished: How much was finished then.
        harm: What was not whole, or went wrong later; empty if nothing.
        lived_on: Seconds that the processes of the killed one lived on.
        resumed: Seconds that ``--resume`` took.
    """

    moment: float
    finished: int
    harm: str
    lived_on: float
    resumed: float

    def __str__(self) -> str:
        left = f"killed at {self.moment:5.1f} s, {self.finished:2d} finished"
        return f"{left}, resumed in {self.resumed:5.1f} s: {self.harm or 'the same'}"


class Kills:
    """Kills of one command.

    Args:
        name: What it is called.
        begin: A fresh trial in a folder.
        work: Where their folders go.
        chance: For the moments.
    """

    def __init__(
        self, name: str, begin: Callable[[Path], Trial], work: Path, chance: random.Random
    ) -> None:
        self.name, self._begin, self._work, self._chance = name, begin, work, chance
        alone, began = begin(work / f"{name}-alone"), time.monotonic()
        code, said = alone.run()
        assert code == 0, said
        self.seconds, self._whole = time.monotonic() - began, alone.state()
        self._pace, self._tried = self.seconds, 0

    def run(self, count: int) -> Iterator[Kill]:
        """Kill so many, each once in its own part of the time; some again while they go on.

        The time is that of the last run that had all to do: others may use the machine meanwhile.
        """
        for number in range(count):
            share = _LATEST * (number + self._chance.random()) / count
            while (kill := self._once(share * self._pace, again=number % 3 == 2)) is None:
                share *= self._chance.uniform(0.5, 1)  # it was faster this time
            if not kill.finished and number % 3 != 2:
                self._pace = kill.resumed
            yield kill

    def _once(self, moment: float, again: bool) -> Kill | None:
        self._tried += 1
        trial = self._begin(self._work / f"{self.name}-{self._tried}")
        killed, lived_on = trial.kill(lambda seconds: seconds >= moment)
        if not killed:
            return None
        finished, harm = trial.finished(), self._harm(trial)
        if again:
            second = self._pace * self._chance.random()
            trial.kill(lambda seconds: seconds >= second, "--resume")
            harm = harm or self._harm(trial)
        began = time.monotonic()
        code, said = trial.run("--resume")
        resumed = time.monotonic() - began
        if code or trial.state() != self._whole or trial.hidden():
            harm = harm or f"exit code {code}, left {trial.hidden()}, not the same: {said}"
        return Kill(moment, finished, harm, lived_on, resumed)

    def _harm(self, trial: Trial) -> str:
        strange = set(trial.visible()) - {trial.output}
        return f"left {strange}" if strange else trial.harm(self._whole)


def _source(work: Path) -> Path:
    """The small network of the tests, trained, beside its pictures."""
    from edgeferry.app.digits import LABELS, write_digits

    write_digits(work / "digits")
    (work / "labels.txt").write_text("\n".join(LABELS) + "\n")
    images, classes = read_pictures(work / "digits" / "calibration")
    network = small_network()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(to_tf(images), classes, epochs=8, batch_size=64, verbose=0)
    network.save(work / "digits.keras")
    return work / "digits.keras"


def _commands(work: Path) -> dict[str, Callable[[Path], Trial]]:
    """A fresh trial of each command in a folder, by the command's name."""
    pictures = str(work / "digits" / "calibration")
    plain = ["export", str(_source(work)), "--preprocessing", "tf", "--resize", "squash"]
    plain += ["--calibration", pictures, "--calibration-count", "64"]
    export = [*plain, "--labels", str(work / "labels.txt")]
    old, new = ExportTrial(work / "old", plain), ExportTrial(work / "new", export)
    for trial in (old, new):
        code, said = trial.run()
        assert code == 0, said
    older, made = work / "old" / "out", work / "new" / "out"
    bundle = ["bundle", str(made / "digits.int8.tflite"), "--device", "raspberry-pi-4", "--offline"]
    measure = ["benchmark", str(made), "--duration", "0.3", "--threads", "1"]
    judge = ["evaluate", str(made), "--images", pictures]
    return {
        "export": lambda folder: ExportTrial(folder, export),
        "replace": lambda folder: ExportTrial(folder, [*export, "--force"], older),
        "bundle": lambda folder: BundleTrial(folder, bundle),
        "benchmark": lambda folder: ResultsTrial(folder, measure),
        "evaluate": lambda folder: ResultsTrial(folder, judge),
    }


def _row(name: str, seconds: float, kills: list[Kill]) -> str:
    harmed = sum(bool(kill.harm) for kill in kills)
    cells: list[Any] = [name, f"{seconds:.1f}", len(kills)]
    cells += [sum(kill.finished > 0 for kill in kills), len(kills) - harmed, harmed]
    cells += [f"{median(kill.resumed for kill in kills):.1f}"]
    cells += [f"{max(kill.lived_on for kill in kills):.2f}"]
    return f"| {' | '.join(map(str, cells))} |"


_HEAD = (
    "| command | alone s | kills | with something finished | resumed to the same | harmed "
    "| median resume s | longest life of its processes s |\n|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Kill what the command line says; 1 if anything was harmed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="+")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    rows, harmed = [], False
    with tempfile.TemporaryDirectory(prefix="edgeferry-crash-") as folder:
        commands = _commands(Path(folder))
        for name in told.commands:
            chance = random.Random(f"{told.seed} {name}")
            run, kills = Kills(name, commands[name], Path(folder), chance), []
            for kill in run.run(told.kills):
                print(f"{name}: {kill}", flush=True)
                kills.append(kill)
            rows.append(_row(name, run.seconds, kills))
            harmed |= any(kill.harm for kill in kills)
    print("\n".join(["", _HEAD, *rows]))
    return int(harmed)


if __name__ == "__main__":
    sys.exit(main())
