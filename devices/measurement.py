"""What is measured on a device, how, and what comes back: plain data that crosses processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.runtimes.base import Execution, RuntimeOptions


@dataclass(frozen=True)
class Trial:
    """One artifact and how to run it.

    Attributes:
        path: The artifact.
        runtime: Name of the engine.
        threads: Threads for one inference; None is one for each physical core.
        execution: What float operations run in.
        engine_device: Execution provider, delegate or OpenVINO device; None is the CPU.
    """

    path: Path
    runtime: str
    threads: int | None = None
    execution: Execution = "float32"
    engine_device: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the worker."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """Read what ``to_dict`` gave."""
        return cls(**{**data, "path": Path(data["path"])})

    def options(self) -> RuntimeOptions:
        """What the engine is told."""
        return RuntimeOptions(self.threads, self.execution, self.engine_device)


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        seconds: For each artifact, warming up not counted.
        rounds: Slices that this is cut into; in each, every artifact of a group has its turn.
        warm_up: Longest time to wait for steady latencies, seconds.
    """

    seconds: float = 5.0
    rounds: int = 10
    warm_up: float = 5.0

    @property
    def slice(self) -> float:
        """Seconds of one artifact in one round."""
        return self.seconds / self.rounds


@dataclass(frozen=True)
class WarmUp:
    """How an artifact warmed up.

    Attributes:
        inferences: Number of them, the first aside.
        steady: Whether latencies stopped falling before the time was up.
    """

    inferences: int
    steady: bool


@dataclass(frozen=True)
class Measurement:
    """What one artifact took; raw, statistics are derived.

    Attributes:
        trial: What was run.
        load_ms: Opening the artifact in a fresh process, the engine's import included,
            milliseconds.
        first_ms: First inference, milliseconds.
        warm_up: How it warmed up.
        rounds: Nanoseconds of each inference, by round.
        batch: Pictures per inference.
        peak_rss_mb: Peak memory of its process, MiB; None where the system does not tell.
        engine: Name of the engine.
        version: The engine's version.
        device: Execution provider, delegate or device in use.
        threads: Threads in use.
        executed: Precision that the weighted operations ran in.
        ops: The executed graph, counted by kind and precision.
        resident: Whether its process stayed through all rounds; where memory was short, each
            round had a fresh one.
    """

    trial: Trial
    load_ms: float
    first_ms: float
    warm_up: WarmUp
    rounds: tuple[tuple[int, ...], ...]
    batch: int
    peak_rss_mb: float | None
    engine: str
    version: str
    device: str
    threads: int
    executed: str
    ops: list[dict[str, Any]]
    resident: bool
