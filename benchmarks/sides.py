"""Two ways to do the same, timed in turns: each in a process of its own, one running at a time.

A side is a function by name that does its set-up and gives back what is to be timed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from edgeferry.app.statistics import Rounds

Timed = Callable[[], Any]
"""What a side gives: called over and over."""


@dataclass(frozen=True)
class Side:
    """One way of doing it.

    Attributes:
        name: How rows call it.
        function: ``module:function`` in this folder.
        arguments: What it is called with; plain data.
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class SideProcess:
    """The process of a side; stopped while others run, with the threads that its engine spins.

    Args:
        side: What it does.
    """

    def __init__(self, side: Side) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, side.function, json.dumps(dict(side.arguments))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()
        self._stop()

    def run(self, seconds: float) -> list[int]:
        """Nanoseconds of each call in a turn of some seconds; two calls before are not counted."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        taken = self._answer()
        self._stop()
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> list[int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._process.args[2:])} ended")  # type: ignore[index]
        return list(json.loads(line))

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def in_turns(sides: Sequence[Side], rounds: int = 20, seconds: float = 0.2) -> dict[str, Rounds]:
    """Time sides beside each other.

    Args:
        sides: What to time.
        rounds: In each every side has a turn, forward and backward alternately.
        seconds: Of one turn.

    Returns:
        Nanoseconds of each call, by round, by the side's name.
    """
    taken: dict[str, list[list[int]]] = {side.name: [] for side in sides}
    with ExitStack() as stack:
        processes = {side.name: stack.enter_context(SideProcess(side)) for side in sides}
        names = list(processes)
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                turn = processes[name].run(seconds)
                if number:  # the first round warms up
                    taken[name].append(turn)
    return dict(taken)


def main() -> None:
    """Be a side: set up, then time one turn for each line of input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", help="module:function")
    parser.add_argument("arguments", type=json.loads)
    options = parser.parse_args()
    module, _, name = options.function.partition(":")
    answers = os.fdopen(os.dup(1), "w", 1)
    os.dup2(2, 1)  # what engines print goes elsewhere
    timed: Timed = getattr(importlib.import_module(module), name)(**options.arguments)
    print([], file=answers)
    for line in sys.stdin:
        timed()
        timed()
        taken: list[int] = []
        end = time.perf_counter_ns() + float(line) * 1e9
        while not taken or time.perf_counter_ns() < end:
            started = time.perf_counter_ns()
            timed()
            taken.append(time.perf_counter_ns() - started)
        print(taken, file=answers)


if __name__ == "__main__":
    main()
