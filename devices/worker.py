"""The process that runs one artifact and times it; ``worker_process`` is the other side.

It reads one trial and then commands, a JSON line each, from standard input, and answers each
with ``{"result": ...}`` or ``{"error": ...}``. It ends with its input, or with its parent.
Where a device cannot start processes, the same ``Bench`` works inside the agent.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.artifact import open_artifact, require_contract
from edgeferry.devices.layer_timing import LayerTiming
from edgeferry.devices.machine import MIB, peak_memory
from edgeferry.devices.measurement import Trial
from edgeferry.devices.processes import die_with_parent
from edgeferry.errors import described_error
from edgeferry.runtimes.base import Runtime
from edgeferry.runtimes.predictor import Predictor
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.streams import private_stdout

SETTLING = 2
"""Inferences at the start of a slice that are not counted: another process had the caches."""
WINDOW, WINDOW_NS = 3, 100_000_000
"""Inferences, and their nanoseconds, whose median is compared with that of the window before."""
TOLERANCE = 0.03
"""Share by which this median may still fall once latencies are steady."""
PHOTOGRAPH = (480, 640)
"""Height and width of the picture that whole predictions start from."""


class Bench:
    """One artifact on the bench.

    Args:
        trial: What to run, and how.
    """

    def __init__(self, trial: Trial) -> None:
        artifact = open_artifact(trial.path)
        self._contract = require_contract(artifact)
        batch, *sizes = self._contract.input.shape
        self._trial = trial
        self._engine = choose_runtime(artifact.format, trial.runtime)
        self._pixels = _noise((batch or 1, *sizes))
        self._photographs = [_photograph()] * len(self._pixels)
        self._runtime: Runtime | None = None

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command says."""
        doing: dict[str, Callable[[], dict[str, Any]]] = {
            "open": self.open,
            "warm_up": lambda: self.warm_up(command["seconds"]),
            "settle": self.settle,
            "measure": lambda: self.measure(command["seconds"]),
            "predict": lambda: self.predict(command["seconds"]),
            "describe": self.describe,
            "profile": lambda: self.profile(command["runs"]),
        }
        return doing[command["do"]]()

    def close(self) -> None:
        """Give back what the engine holds."""
        if self._runtime is not None:
            self._runtime.close()

    def open(self) -> dict[str, Any]:
        """Load the artifact and run it once."""
        started = time.perf_counter_ns()
        adapter = RUNTIMES.load(self._engine)
        path, options = Path(self._trial.path), self._trial.options()
        self._runtime = adapter(path, self._contract, options).open()
        loaded = time.perf_counter_ns()
        return {
            "load_ms": (loaded - started) / 1e6,
            "first_ms": self._timed() / 1e6,
            "batch": len(self._pixels),
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

    def settle(self) -> dict[str, Any]:
        """Have the caches back, and the clock up."""
        for _ in range(SETTLING):
            self._timed()
        return {}

    def measure(self, seconds: float) -> dict[str, Any]:
        """Time inferences for a while, at least one."""
        return {"nanoseconds": _repeated(self._timed, seconds)}

    def predict(self, seconds: float) -> dict[str, Any]:
        """Time whole predictions for a while, at least one: a JPEG file to its labels."""
        assert self._runtime is not None
        predictor = Predictor(self._runtime)

        def timed() -> int:
            started = time.perf_counter_ns()
            predictor.predict(self._photographs)
            return time.perf_counter_ns() - started

        return {"nanoseconds": _repeated(timed, seconds)}

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

    def profile(self, runs: int) -> dict[str, Any]:
        """Time each layer with the engine's profiler, over some inferences."""
        assert self._runtime is not None
        layers = self._runtime.profile(runs)
        return asdict(LayerTiming(self._runtime.profiler, runs, layers))

    def _window(self) -> list[int]:
        taken: list[int] = []
        while len(taken) < WINDOW or sum(taken) < WINDOW_NS:
            taken.append(self._timed())
        return taken

    def _timed(self) -> int:
        """Nanoseconds of one inference, input and output included."""
        assert self._runtime is not None
        started = time.perf_counter_ns()
        self._runtime.infer(self._pixels)
        return time.perf_counter_ns() - started


def _repeated(timed: Callable[[], int], seconds: float) -> list[int]:
    taken: list[int] = []
    deadline = time.perf_counter_ns() + seconds * 1e9
    while not taken or time.perf_counter_ns() < deadline:
        taken.append(timed())
    return taken


def _photograph() -> bytes:
    """A JPEG file that is about as hard to decode as a photograph: some noise on soft shapes."""
    from PIL import Image

    height, width = PHOTOGRAPH
    rows, columns = np.sin(np.arange(height) / 50), np.cos(np.arange(width) / 50)
    shapes = (128 + 90 * np.outer(rows, columns)).astype(np.uint8)
    pixels = shapes[..., None] + np.random.default_rng(0).integers(
        0, 32, (height, width, 3), np.uint8
    )
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def main() -> None:
    """Answer commands until standard input ends."""
    die_with_parent()
    answers = private_stdout()
    gc.disable()  # nothing here is cyclic, and a collection would hit some inferences
    bench: Bench | None = None
    for line in sys.stdin:
        content = json.loads(line)
        try:
            if bench is None:
                bench = Bench(Trial.from_dict(content))
                continue
            said = {"result": bench.answer(content)}
        except Exception as error:
            said = {"error": described_error(error, "measuring")}
        answers.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
