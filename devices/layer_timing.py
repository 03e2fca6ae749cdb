"""Times of the layers of an artifact, as a worker tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeferry.checked import finite, text, whole_number
from edgeferry.runtimes.layer_times import LayerTime

MOST_LAYERS = 100_000


@dataclass(frozen=True)
class LayerTiming:
    """What the profiler of an engine told.

    Attributes:
        profiler: What measured, and what it measured.
        runs: Inferences that the times are medians of.
        layers: Everything that ran, in order; empty where nothing could be told.
        problem: Why nothing could be told; empty if it could.
    """

    profiler: str
    runs: int
    layers: tuple[LayerTime, ...]
    problem: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerTiming:
        """Read what ``asdict`` gave, after a way through JSON.

        Raises:
            ValueError: If it was something else; or KeyError, TypeError.
        """
        layers = data["layers"]
        if not isinstance(layers, Sequence) or len(layers) > MOST_LAYERS:
            raise ValueError(f"{layers!r:.40} are no layers")
        return cls(
            profiler=text(data["profiler"]),
            runs=whole_number(data["runs"]),
            layers=tuple(map(_layer, layers)),
            problem=text(data["problem"]),
        )


def _layer(data: Mapping[str, Any]) -> LayerTime:
    products = data["multiply_accumulates"]
    return LayerTime(
        name=text(data["name"]),
        type=text(data["type"]),
        kind=text(data["kind"]),
        precision=text(data["precision"]),
        microseconds=_time(data["microseconds"]),
        originals=tuple(map(text, data["originals"])),
        multiply_accumulates=None if products is None else whole_number(products),
    )


def _time(value: Any) -> float:
    time = finite(value)
    if time < 0:
        raise ValueError(f"{value!r:.40} is no time")
    return time
