"""How to benchmark, and what the verdict has to keep to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeferry.app.verdict import Budget
from edgeferry.devices.measurement import Plan
from edgeferry.errors import UsageError
from edgeferry.files import sha256_of
from edgeferry.runtimes.base import Execution, Settings

SUSTAINED = 60.0
"""Seconds from which on a duration is one of sustained work."""
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class BenchmarkOptions:
    """How to measure.

    Attributes:
        threads: Threads for one inference; None is one for each physical core.
        execution: ``float32``, or ``auto`` for what the engine would choose.
        runtime: Engine; None takes the first one installed for each format.
        engine_device: Execution provider, delegate or OpenVINO device; None is the CPU.
        settings: The engine's own settings.
        duration: Seconds of measuring for each artifact, warming up not counted. From a minute
            on, each artifact also runs alone for that long.
        devices: Addresses, or names of the user's devices.
        tune: Whether to search for the fastest options first.
        accuracy: What ``evaluate`` wrote, for the verdict.
        budget: What the verdict has to keep to.
        benchmark_model: TFLite's program for devices without Python.
        profile: Whether each layer is timed too.
    """

    threads: int | None = None
    execution: Execution = "float32"
    runtime: str | None = None
    engine_device: str | None = None
    settings: Settings = ()
    duration: float = 5.0
    devices: tuple[str, ...] = ("local",)
    tune: bool = False
    accuracy: Path | None = None
    budget: Budget = field(default_factory=Budget)
    benchmark_model: Path | None = None
    profile: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads must be 1 or more, not {self.threads}")
        if not 0 <= self.duration < float("inf"):
            raise UsageError(f"cannot measure for {self.duration} seconds")
        if self.benchmark_model is not None and not self.benchmark_model.is_file():
            raise UsageError(f"there is no file {self.benchmark_model}")

    def plan(self) -> Plan:
        """How long each artifact has its turns."""
        if self.duration >= SUSTAINED:
            return Plan(sustained=self.duration, profile=self.profile)
        warm_up = max(2.0, self.duration)
        return Plan(seconds=self.duration, warm_up=warm_up, profile=self.profile)

    def asked(self) -> dict[str, Any]:
        """What figures depend on; a run is continued with the same alone."""
        return {
            "threads": self.threads,
            "execution": self.execution,
            "runtime": self.runtime,
            "engine_device": self.engine_device,
            "settings": dict(self.settings),
            "duration": self.duration,
            "tune": self.tune,
            "profile": self.profile,
            "benchmark_model": self.benchmark_model and sha256_of(self.benchmark_model),
        }


def read_duration(text: str) -> float:
    """Read ``90``, ``90s``, ``10m`` or ``1h`` as seconds.

    Raises:
        UsageError: If it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None:
        raise UsageError(f"--duration {text} is no time", "Give seconds, or 90s, 10m, 1h")
    return float(match[1]) * _UNITS[match[2]]


def read_settings(pairs: list[str]) -> Settings:
    """Read ``name=value`` pairs.

    Raises:
        UsageError: If one is no pair.
    """
    split = [tuple(pair.partition("=")[::2]) for pair in pairs]
    for (name, value), pair in zip(split, pairs, strict=True):
        if not name or not value:
            raise UsageError(f"--engine-setting {pair} is no NAME=VALUE")
    return tuple((name, value) for name, value in split)
