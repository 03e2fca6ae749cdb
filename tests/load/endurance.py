"""Ask predictors for the same pictures again and again; watch their answers and their memory.

    python tests/load/endurance.py ARTIFACT... PICTURES --threads 8 --minutes 10
    python tests/load/endurance.py ARTIFACT PICTURES --calls 100000

Threads share the predictors; for each answer they read and decode the picture's file. Prints a
table, and PASS (exit code 0) where every answer was the one that a single thread got before, and
resident memory grew by 2 MB at most after the first minute (or fifth of the work).
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "examples")]

from frames import pictures  # noqa: E402
from memory_watch import MOST_GROWTH, from_files, growth, judge, resident, show  # noqa: E402

import edgeferry  # noqa: E402

WARM_UP, WARM_SHARE = 60.0, 0.2
"""Seconds, or share of the work where that is less, before memory counts."""
IN_A_ROW = 25
"""Pictures for one predictor before the next one."""


@dataclass
class Work:
    """What is to be done, and what is seen meanwhile.

    Attributes:
        predictors: All are asked for all pictures.
        files: The pictures.
        calls: After so many answers it is over; None is no limit.
        expected: What a single thread got, by predictor and picture.
        counts: Answers of each thread.
        wrong: Those that differed.
        errors: What was raised in a thread.
        over: Set when threads shall stop.
    """

    predictors: Sequence[edgeferry.Predictor]
    files: Sequence[str]
    calls: int | None
    expected: list[list[Any]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def done(self) -> int:
        """Answers of all threads."""
        return sum(self.counts)

    def ask(self, thread: int) -> None:
        """In a thread: ask until it is over."""
        try:
            for picture, predictor in self._turns(thread):
                if self.over.is_set() or (self.calls is not None and self.done >= self.calls):
                    return
                answer = self.predictors[predictor].predict(self.files[picture])
                if answer != self.expected[predictor][picture]:
                    self.wrong.append(self.files[picture])
                self.counts[thread] += 1
        except Exception as error:
            self.errors.append(error)

    def _turns(self, thread: int) -> Iterator[tuple[int, int]]:
        """Which picture for which predictor: all threads come to each predictor at once."""
        first = thread * len(self.files) // len(self.counts)
        for begin in count(first, IN_A_ROW):
            for predictor in range(len(self.predictors)):
                for at in range(begin, begin + IN_A_ROW):
                    yield at % len(self.files), predictor


def main() -> None:
    """Run it, judge it."""
    options = read_options()
    files = [str(file) for file in pictures(Path(options.pictures))]
    with ExitStack() as stack:
        opened = [stack.enter_context(edgeferry.load(path, threads=1)) for path in options.artifact]
        work = Work(opened, files, options.calls)
        work.expected = [[each.predict(file) for file in files] for each in opened]
        work.counts = [0] * options.threads
        sizes = watch(work, options.minutes * 60)
    rise = growth(sizes)
    kept = judge(
        {
            f"{work.done} answers, {len(work.wrong)} of them wrong": not work.wrong,
            f"{len(work.errors)} threads failed {work.errors[:1]}": not work.errors,
            f"memory grew by {rise:.2f} MB": rise <= MOST_GROWTH,
        }
    )
    sys.exit(not kept)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", nargs="+", help="a classifier")
    parser.add_argument("pictures", help="a folder of pictures")
    parser.add_argument("--threads", type=int, default=1, help="that share them (1)")
    parser.add_argument("--minutes", type=float, default=10, help="at most (10)")
    parser.add_argument("--calls", type=int, help="end after so many answers")
    return parser.parse_args()


def watch(work: Work, seconds: float) -> list[float]:
    """Let threads work; give the sizes of this process once it was warm."""
    threads = [threading.Thread(target=work.ask, args=(each,)) for each in range(len(work.counts))]
    for each in threads:
        each.start()
    begun, sizes = time.monotonic(), []
    show("seconds", "answers", "resident MB", "of files MB")
    while any(each.is_alive() for each in threads):
        elapsed, done, size = time.monotonic() - begun, work.done, resident("self")
        if elapsed >= WARM_UP or is_warm(elapsed / seconds, done, work.calls):
            sizes.append(size)
        show(f"{elapsed:.0f}", done, f"{size:.2f}", f"{from_files('self'):.2f}")
        if elapsed >= seconds:
            work.over.set()
        work.over.wait(min(5.0, seconds / 60))
        if work.over.is_set():
            for each in threads:
                each.join()
    return sizes or [resident("self")]


def is_warm(share: float, done: int, calls: int | None) -> bool:
    """Whether enough of the time or of the calls has gone by."""
    return share >= WARM_SHARE or (calls is not None and done >= WARM_SHARE * calls)


if __name__ == "__main__":
    main()
