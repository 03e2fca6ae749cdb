"""What is measured on a device, how, and what comes back: plain data that crosses processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

from edgeferry.checked import finite, finite_or_none, text, text_or_none, whole_number
from edgeferry.devices.checked import nanoseconds, operations
from edgeferry.devices.layer_timing import LayerTiming
from edgeferry.runtimes.base import Execution, RuntimeOptions, Settings


@dataclass(frozen=True)
class Trial:
    """One artifact and how to run it.

    Attributes:
        path: The artifact, as the device finds it.
        runtime: Name of the engine; None takes the first one installed there.
        threads: Threads for one inference; None is one for each physical core.
        execution: What float operations run in.
        engine_device: Execution provider, delegate or OpenVINO device; None is the CPU.
        settings: The engine's own settings, as pairs of name and value.
    """

    path: str
    runtime: str | None = None
    threads: int | None = None
    execution: Execution = "float32"
    engine_device: str | None = None
    settings: Settings = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for another process."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """Read what ``to_dict`` gave, JSON's lists included.

        Raises:
            ValueError: If it was something else; or KeyError, TypeError.
        """
        pairs = tuple((text(name), text(value)) for name, value in data["settings"])
        threads, execution = data["threads"], text(data["execution"])
        if execution not in get_args(Execution):
            raise ValueError(f"{execution:.40} is no execution")
        return cls(
            path=text(data["path"]),
            runtime=text_or_none(data["runtime"]),
            threads=None if threads is None else whole_number(threads, 1),
            execution=cast(Execution, execution),
            engine_device=text_or_none(data["engine_device"]),
            settings=pairs,
        )

    def options(self) -> RuntimeOptions:
        """What the engine is told."""
        return RuntimeOptions(self.threads, self.execution, self.engine_device, self.settings)

    def __str__(self) -> str:
        return self.path.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        seconds: For each artifact, warming up not counted.
        rounds: Slices that this is cut into; in each, every artifact of a group has its turn.
        warm_up: Longest time to wait for steady latencies, seconds.
        picture_share: Time for whole predictions (picture file to label), over ``seconds``.
        sustained: Seconds that each artifact then runs alone, without a pause; 0 is not.
        profile: Whether each layer is timed too, after the last round.
    """

    seconds: float = 5.0
    rounds: int = 10
    warm_up: float = 5.0
    picture_share: float = 0.2
    sustained: float = 0.0
    profile: bool = False

    @property
    def slice(self) -> float:
        """Seconds of one artifact in one round."""
        return self.seconds / self.rounds

    def alone(self) -> Plan:
        """The plan of the sustained run: from cold, in slices of about five seconds."""
        slices = max(10, round(self.sustained / 5))
        return Plan(seconds=self.sustained, rounds=slices, warm_up=0, picture_share=0)


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
class Slice:
    """One artifact's turn in one round; raw, statistics are derived.

    Attributes:
        nanoseconds: Of each inference.
        pictures: Nanoseconds of each whole prediction, picture file to label.
        seconds: When it was over, since the first turn began.
        temperature_c: The processor's, right after; None where no sensor tells.
        clock_mhz: Clock of the fastest processor, right after; likewise.
        throttled: Raspberry Pi's throttling word, right after; likewise.
        joules: Energy of the machine during the inferences; likewise.
    """

    nanoseconds: tuple[int, ...]
    pictures: tuple[int, ...] = ()
    seconds: float = 0.0
    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: int | None = None
    joules: float | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Slice:
        """Read what ``asdict`` gave, after a way through JSON.

        Raises:
            ValueError: If it was something else; or KeyError.
        """
        throttled = data["throttled"]
        return cls(
            nanoseconds=nanoseconds(data["nanoseconds"], least=1),
            pictures=nanoseconds(data["pictures"], least=0),
            seconds=finite(data["seconds"]),
            temperature_c=finite_or_none(data["temperature_c"]),
            clock_mhz=finite_or_none(data["clock_mhz"]),
            throttled=None if throttled is None else whole_number(throttled),
            joules=finite_or_none(data["joules"]),
        )


@dataclass(frozen=True)
class Run:
    """What an engine did with an artifact, but for its timings.

    Attributes:
        load_ms: Opening the artifact in a fresh process, the engine's import included,
            milliseconds.
        first_ms: First inference, milliseconds.
        warm_up: How it warmed up.
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
        summarized: Whether a turn tells the median of its inferences alone.
        layers: Times of its layers; None where they were not asked for.
    """

    load_ms: float
    first_ms: float
    warm_up: WarmUp
    batch: int
    peak_rss_mb: float | None
    engine: str
    version: str
    device: str
    threads: int
    executed: str
    ops: list[dict[str, Any]] | None
    resident: bool
    summarized: bool = False
    layers: LayerTiming | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """Read what ``asdict`` gave, after a way through JSON.

        Raises:
            ValueError: If it was something else; or KeyError, TypeError.
        """
        warm_up, layers = data["warm_up"], data.get("layers")
        return cls(
            load_ms=finite(data["load_ms"]),
            first_ms=finite(data["first_ms"]),
            warm_up=WarmUp(whole_number(warm_up["inferences"]), bool(warm_up["steady"])),
            batch=whole_number(data["batch"], 1),
            peak_rss_mb=finite_or_none(data["peak_rss_mb"]),
            engine=text(data["engine"]),
            version=text(data["version"]),
            device=text(data["device"]),
            threads=whole_number(data["threads"]),
            executed=text(data["executed"]),
            ops=operations(data["ops"]),
            resident=bool(data["resident"]),
            summarized=bool(data["summarized"]),
            layers=None if layers is None else LayerTiming.from_dict(layers),
        )


@dataclass(frozen=True)
class Measurement:
    """One artifact, measured.

    Attributes:
        trial: What was run.
        run: What the engine did.
        slices: Its turns, one for each round.
    """

    trial: Trial
    run: Run
    slices: tuple[Slice, ...]

    @property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """Nanoseconds of each inference, by round."""
        return tuple(each.nanoseconds for each in self.slices)
