"""The side that starts workers, watches them, and tells what fell."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeferry.devices.lines import LineReader
from edgeferry.errors import process_ending
from fuzz.targets import target_class

TESTS = Path(__file__).parents[1]
STARTING = 120.0
"""Seconds until a worker has to be ready."""
_KEPT = 20
"""Inputs that fell and are kept."""


@dataclass(frozen=True)
class Fall:
    """A case that did not end as it has to.

    Attributes:
        target: Name of the target.
        seed: The campaign's.
        index: The case's number.
        done: What was done to its input.
        why: How it ended.
        kept: Where its input lies.
    """

    target: str
    seed: int
    index: int
    done: str
    why: str
    kept: Path

    def essence(self) -> str:
        """What it has in common with others of the same fault."""
        lines = [line for line in self.why.splitlines() if line.startswith("  File")]
        own = [line for line in lines if "/lib/" not in line]
        ending = self.why.rstrip().splitlines()[-1].split(":")[0]
        return f"{(own or [''])[-1]} {ending if lines else self.why.split(' ')[0]}"

    def __str__(self) -> str:
        again = f"cd tests && python -m fuzz {self.target} --seed {self.seed} --case {self.index}"
        return f"{self.target} {self.index} ({self.done}): {self.why}\n{again} ({self.kept})"


@dataclass
class Report:
    """What came of a campaign.

    Attributes:
        target: Name of the target.
        cases: How many ran.
        refused: How many ended in an ``EdgeferryError``; the others but ``falls`` were answered.
        falls: Those that did not end as they have to.
        seconds: Processor time of the longest case.
        mb: The most that memory grew in one.
    """

    target: str
    cases: int = 0
    refused: int = 0
    falls: list[Fall] = field(default_factory=list)
    seconds: float = 0.0
    mb: float = 0.0

    def alike(self) -> list[list[Fall]]:
        """The falls, those of the same fault together."""
        found: dict[str, list[Fall]] = {}
        for fall in self.falls:
            found.setdefault(fall.essence(), []).append(fall)
        return list(found.values())

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.cases} cases, {self.refused} refused, "
            f"{self.cases - self.refused - len(self.falls)} answered, {len(self.falls)} fell; "
            f"longest {self.seconds:.2f} s, most memory {self.mb:.0f} MiB"
        )


class Campaign:
    """Cases of one target.

    Args:
        target: Its name.
        artifacts: A folder of artifacts in every format.
        seed: What the inputs come from.
        kept: Where to keep the inputs that fell; a temporary folder if None.
        waiting: Seconds for a case that only waits; the target's own number if None. One that
            works is ended by its worker's clock.
    """

    def __init__(
        self,
        target: str,
        artifacts: Path,
        seed: int = 0,
        kept: Path | None = None,
        waiting: float | None = None,
    ) -> None:
        self._target = target
        self._artifacts = artifacts.absolute()
        self._seed = seed
        self._waiting = waiting or target_class(target).waiting
        self._kept = kept

    def run(self, first: int, last: int) -> Report:
        """Run the cases from one number to before another; each in turn, whatever falls."""
        report = Report(self._target)
        with tempfile.TemporaryDirectory(prefix="edgeferry-fuzz-") as folder:
            work = Path(folder)
            while first < last:
                for told in self._worker(work, first, last):
                    first = told["index"] + 1
                    self._count(report, told, work)
        return report

    def _worker(self, work: Path, first: int, last: int) -> Iterator[dict[str, Any]]:
        """What one process tells of its cases, the one that it dies of included."""
        arguments = (self._target, self._artifacts, work, self._seed, first, last)
        with (
            tempfile.TemporaryFile("w+", errors="replace") as complaints,
            subprocess.Popen(
                [sys.executable, "-m", "fuzz.worker", *map(str, arguments)],
                cwd=work,
                env=_environment(work),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
            ) as process,
        ):
            index, done = first, ""
            for told in self._told(process):
                if told is None:
                    why = "it hung"
                    break
                if "outcome" in told:
                    yield {"done": done, **told}
                    index, done = told["index"] + 1, ""
                else:
                    index, done = told.get("index", index), told.get("done", "")
            else:
                why = _ending(process.wait())
            process.kill()
            if index < last:
                complaints.seek(0)
                why = f"{why}\n{complaints.read()[-2000:]}"
                yield {"index": index, "done": done, "outcome": "fell", "why": why}

    def _told(self, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
        """What a worker tells, line by line; None where it keeps silent for too long."""
        assert process.stdout is not None
        reader, descriptor, limit = LineReader(), process.stdout.fileno(), STARTING
        while select.select([descriptor], [], [], limit)[0]:
            data = os.read(descriptor, 1 << 16)
            if not data:
                return
            limit = self._waiting
            for line in reader.feed(data):
                yield json.loads(line)
        yield None

    def _count(self, report: Report, told: dict[str, Any], work: Path) -> None:
        report.cases += 1
        report.refused += told["outcome"] == "refused"
        report.seconds = max(report.seconds, told.get("seconds", 0))
        report.mb = max(report.mb, told.get("mb", 0))
        if told["outcome"] != "fell":
            return
        self._kept = self._kept or Path(tempfile.mkdtemp(prefix="edgeferry-fell-"))
        case, kept = work / f"case-{told['index']}", self._kept / f"{self._target}-{told['index']}"
        if len(report.falls) < _KEPT and case.exists():
            shutil.copytree(case, kept, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(case, ignore_errors=True)
        fall = Fall(self._target, self._seed, told["index"], told["done"], told["why"], kept)
        report.falls.append(fall)


def _ending(code: int) -> str:
    if code == -signal.SIGPROF:
        return "it worked for too long"
    return f"the process ended with {process_ending(code)}"


def _environment(work: Path) -> dict[str, str]:
    """Everything that a program may want to write to lies in the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    own = {"HOME": str(work), "TMPDIR": str(work / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(TESTS))))
    return {**kept, **own, "PYTHONPATH": path}
