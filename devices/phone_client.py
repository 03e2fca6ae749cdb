"""Measuring on a device without Python: the agent works here, and TFLite's program there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeferry.closing import Closing
from edgeferry.devices.agent import Agent
from edgeferry.devices.android_facts import android_facts
from edgeferry.devices.benchmark_model import BenchmarkModel, PhoneTiming
from edgeferry.devices.device import Device
from edgeferry.devices.energy import EnergyMeter
from edgeferry.devices.job import Event, Job
from edgeferry.devices.measurement import Trial
from edgeferry.devices.rounds import Instruments
from edgeferry.devices.sensors import Sensors
from edgeferry.devices.tuning import thread_counts
from edgeferry.errors import EngineError, UsageError

ENGINE = "benchmark_model"
_NOWHERE = Path("/nonexistent")
"""The sensors of this machine tell nothing of the phone."""


class PhoneClient(Closing):
    """A device that ``benchmark_model`` measures on.

    Args:
        device: Where.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._cores = 1

    def close(self) -> None:
        """There is nothing to give back."""

    def prepare(self) -> None:
        """See that there is a program to measure with.

        Raises:
            UsageError: If none was named.
        """
        self._program()

    def facts(self) -> dict[str, Any]:
        """Facts of the phone.

        Raises:
            DeviceError: If it cannot be reached.
        """
        facts = android_facts(self._device)
        self._cores = facts["physical_cores"] or 1
        return facts

    def measure(self, job: Job, hear: Callable[[Event], None]) -> None:
        """Have a job done.

        Args:
            job: What to do; its artifacts are on the device.
            hear: Takes each event as it comes.

        Raises:
            DeviceError: If the device is lost.
        """
        program = BenchmarkModel(self._device, self._program())

        def start(trial: Trial) -> _PhoneWorker:
            return _PhoneWorker(program, trial, trial.threads or self._cores)

        instruments = Instruments(start, True, Sensors(_NOWHERE), EnergyMeter(_NOWHERE))
        Agent(job, hear, instruments, self.facts, self._ways).work()

    def _program(self) -> Path:
        program = self._device.settings.benchmark_model
        if program is None:
            raise UsageError(
                f"{self._device.name} has no Python: TFLite's benchmark_model has to measure there",
                "Name the program, built for it, with --benchmark-model FILE",
            )
        return program

    def _ways(self, trial: Trial) -> list[Trial]:
        counts = [trial.threads] if trial.threads else thread_counts(self._cores)
        return [replace(trial, threads=count) for count in counts]


class _PhoneWorker:
    """One artifact; each answer is a run of the program, which loads and warms up anew."""

    def __init__(self, program: BenchmarkModel, trial: Trial, threads: int) -> None:
        self._program = program
        self._trial = trial
        self._threads = threads
        self._last: PhoneTiming | None = None

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        doing: dict[str, Callable[[], dict[str, Any]]] = {
            "open": self._open,
            "warm_up": lambda: {"inferences": 1, "steady": True},
            "settle": dict,
            "measure": lambda: self._measure(command["seconds"]),
            "predict": dict,
            "describe": self._describe,
            "profile": self._profile,
        }
        return doing[command["do"]]()

    def pause(self) -> None:
        """Nothing runs between two answers."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def _open(self) -> dict[str, Any]:
        if not self._trial.path.endswith(".tflite"):
            raise UsageError(f"{ENGINE} does not run {self._trial}: it runs .tflite files alone")
        timing = self._run(0)
        return {"load_ms": timing.init_ms, "first_ms": timing.first_ms, "batch": 1}

    def _measure(self, seconds: float) -> dict[str, Any]:
        """The program tells the median of a run, in old versions the mean, and no single timing."""
        timing = self._run(seconds)
        typical = timing.mean_ms if timing.median_ms is None else timing.median_ms
        return {"nanoseconds": [round(typical * 1e6)]}

    def _describe(self) -> dict[str, Any]:
        last = self._last or self._run(0)
        return {
            "peak_rss_mb": last.peak_mb,
            "engine": ENGINE,
            "version": "of unknown version",
            "device": {True: "XNNPACK", False: "cpu", None: "unknown"}[last.delegated],
            "threads": self._threads,
            "executed": "unknown",
            "ops": None,
        }

    def _profile(self) -> dict[str, Any]:
        raise EngineError(f"edgeferry reads no times of layers from {ENGINE}")

    def _run(self, seconds: float) -> PhoneTiming:
        self._last = self._program.run(self._trial.path, self._threads, seconds)
        return self._last
