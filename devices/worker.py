"""The process that runs one artifact and times it; ``worker_process`` is the other side.

It reads one trial and then commands, a JSON line each, from standard input, and answers each
with ``{"result": ...}`` or ``{"error": ...}``. It ends with its input, or with its parent.
"""

from __future__ import annotations

import ctypes
import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.artifact import open_artifact, require_contract
from edgeferry.devices.machine import MIB, peak_memory
from edgeferry.devices.measurement import Trial
from edgeferry.errors import described_error
from edgeferry.runtimes.base import Runtime
from edgeferry.runtimes.registry import RUNTIMES
from edgeferry.streams import private_stdout

SETTLING = 2
"""Inferences at the start of a slice that are not counted: another process had the caches."""
WINDOW, WINDOW_NS = 3, 100_000_000
"""Inferences, and their nanoseconds, whose median is compared with that of the window before."""
TOLERANCE = 0.03
"""Share by which this median may still fall once latencies are steady."""
_PR_SET_PDEATHSIG = 1


class Bench:
    """One artifact on the bench.

    Args:
        trial: What to run, and how.
    """

    def __init__(self, trial: Trial) -> None:
        contract = require_contract(open_artifact(trial.path))
        batch, *sizes = contract.input.shape
        self._trial = trial
        self._contract = contract
        self._picture = _noise((batch or 1, *sizes))
        self._runtime: Runtime | None = None

    def open(self) -> dict[str, Any]:
        """Load the artifact and run it once."""
        started = time.perf_counter_ns()
        adapter = RUNTIMES.load(self._trial.runtime)
        self._runtime = adapter(self._trial.path, self._contract, self._trial.options()).open()
        loaded = time.perf_counter_ns()
        return {
            "load_ms": (loaded - started) / 1e6,
            "first_ms": self._timed() / 1e6,
            "batch": len(self._picture),
        }

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Run until latencies no longer fall, or the time is up."""
        deadline = time.monotonic() + seconds
        count, before, steady = 0, float("inf"), False
        while not steady and (not count or time.monotonic() < deadline):
            window = self._window()
            now = median(window)
            steady = count > 0 and now >= (1 - TOLERANCE) * before
            count, before = count + len(window), now
        return {"inferences": count, "steady": steady}

    def measure(self, seconds: float) -> dict[str, Any]:
        """Time inferences for a while, at least one."""
        for _ in range(SETTLING):
            self._timed()
        taken: list[int] = []
        deadline = time.perf_counter_ns() + seconds * 1e9
        while not taken or time.perf_counter_ns() < deadline:
            taken.append(self._timed())
        return {"nanoseconds": taken}

    def describe(self) -> dict[str, Any]:
        """Tell the peak memory so far, and then what the engine executes."""
        peak = peak_memory()
        assert self._runtime is not None
        description = self._runtime.describe()
        return {
            "peak_rss_mb": None if peak is None else peak / MIB,
            "engine": description.engine,
            "version": description.version,
            "device": description.device,
            "threads": description.threads,
            "executed": description.executed,
            "ops": description.ops(),
        }

    def _window(self) -> list[int]:
        taken: list[int] = []
        while len(taken) < WINDOW or sum(taken) < WINDOW_NS:
            taken.append(self._timed())
        return taken

    def _timed(self) -> int:
        """Nanoseconds of one inference, input and output included."""
        assert self._runtime is not None
        started = time.perf_counter_ns()
        self._runtime.infer(self._picture)
        return time.perf_counter_ns() - started


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _answer(bench: Bench, command: Mapping[str, Any]) -> dict[str, Any]:
    doing: dict[str, Callable[[], dict[str, Any]]] = {
        "open": bench.open,
        "warm_up": lambda: bench.warm_up(command["seconds"]),
        "measure": lambda: bench.measure(command["seconds"]),
        "describe": bench.describe,
    }
    return doing[command["do"]]()


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Answer commands until standard input ends."""
    _die_with_parent()
    answers = private_stdout()
    gc.disable()  # nothing here is cyclic, and a collection would hit some inferences
    bench: Bench | None = None
    for line in sys.stdin:
        content = json.loads(line)
        try:
            if bench is None:
                bench = Bench(Trial.from_dict(content))
                continue
            answer = {"result": _answer(bench, content)}
        except Exception as error:
            answer = {"error": described_error(error, "measuring")}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
