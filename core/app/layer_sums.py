"""Two runs of every tensor over one batch, compared: what is kept are sums, no tensor is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.network import Layer
from edgeferry.exporters.quantized_reader import (
    FloatModel,
    Limits,
    QuantizedReader,
    open_float,
    open_quantized,
)
from edgeferry.exporters.statistics import Batch
from edgeferry.runtimes.base import engine_errors
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime

Values = NDArray[np.float64]
Pair = tuple[NDArray[Any], NDArray[Any]]
"""The same tensor in the float run and in the int8 run."""
Scales = Mapping[str, Values]
"""Scale of each channel in the int8 run, by tensor name; 1 where there is none."""


@dataclass(frozen=True)
class Fit:
    """What the scales of a tensor's channels are found from, sums by channel.

    Attributes:
        signal: Of the squared float values.
        alike: Of the products of the two.
    """

    signal: Values
    alike: Values


@dataclass(frozen=True)
class Sums:
    """How two runs of a tensor differ.

    Attributes:
        signal: Sum of the squared float values, by channel.
        noise: Sum of the squared differences from them, by channel.
        own: Sum of the int8 run's squared values.
        product: Sum of the products of the two.
        outside: Number of float values that the integers cannot represent.
        count: Number of values.
    """

    signal: Values
    noise: Values
    own: float
    product: float
    outside: int
    count: int


@dataclass(frozen=True)
class Outline:
    """What is known before any picture is run.

    Attributes:
        layers: Of the float model, in order.
        quantized: Names of the tensors that are integers in the int8 artifact.
    """

    layers: tuple[Layer, ...]
    quantized: frozenset[str]


@dataclass(frozen=True)
class Twins:
    """An int8 artifact and its float twin, open to be read.

    Attributes:
        float_model: The float twin.
        quantized: The int8 artifact.
        outline: What is known of them before any picture is run.
    """

    float_model: FloatModel
    quantized: QuantizedReader
    outline: Outline
    _guard: Lock = field(default_factory=Lock)

    def read(self, batch: Batch) -> dict[str, Pair]:
        """What layers read and give, as far as both artifacts have it, for one batch."""
        layers = self.outline.layers
        wanted = {name for layer in layers for name in (layer.result, *layer.sources)}
        with self._guard, engine_errors("a picture cannot be run"):
            expected = batch.real(self.float_model.reader.read(batch.pictures))
            found = batch.real(self.quantized.read(batch.pictures))
        both = wanted & expected.keys() & found.keys()
        return {name: (expected[name], found[name]) for name in both}

    def fits(self, pairs: Mapping[str, Pair]) -> dict[str, Fit]:
        """What scales are found from, by tensor name."""
        return {name: self._fit(*pair) for name, pair in pairs.items()}

    def sums(self, pairs: Mapping[str, Pair], scales: Scales) -> dict[str, Sums]:
        """How the two runs differ when the int8 run's scales are undone, by tensor name."""
        one = np.float64(1)
        return {name: self._sums(name, *pairs[name], scales.get(name, one)) for name in pairs}

    def _fit(self, reference: NDArray[Any], own: NDArray[Any]) -> Fit:
        expected, found = self._channels_last(reference), self._channels_last(own)
        return Fit(_by_channel(expected**2), _by_channel(expected * found))

    def _sums(self, name: str, reference: NDArray[Any], own: NDArray[Any], scales: Any) -> Sums:
        expected, found = self._channels_last(reference), self._channels_last(own)
        limits = self.quantized.limits.get(name)
        outside = 0 if limits is None else self._count_outside(expected * scales, limits)
        found = found / scales
        return Sums(
            signal=_by_channel(expected**2),
            noise=_by_channel((found - expected) ** 2),
            own=float((found**2).sum()),
            product=float((expected * found).sum()),
            outside=outside,
            count=expected.size,
        )

    def _count_outside(self, values: Values, limits: Limits) -> int:
        low, high, step = (
            self._channels_last(each) for each in (limits.low, limits.high, limits.step)
        )
        return int(np.sum((values < low - step / 2) | (values > high + step / 2)))

    def _channels_last(self, values: NDArray[Any]) -> Values:
        axis = self.float_model.channel_axis
        moved = np.moveaxis(values, axis, -1) if values.ndim == 4 else values
        return moved.astype(np.float64)


@dataclass(frozen=True)
class TwinFiles:
    """An int8 artifact and its float twin: the resource that comparing takes.

    Attributes:
        int8: The int8 artifact.
        twin: Its float twin.
        format: The format of both.
    """

    int8: Path
    twin: Path
    format: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """Both files."""
        return self.int8, self.twin

    @property
    def packages(self) -> tuple[str, ...]:
        """What the engine of the format comes in."""
        return RUNTIMES.entry(choose_runtime(self.format)).requires

    @contextmanager
    def opened(self, paths: Sequence[Path], cores: int | None = None) -> Iterator[Twins]:
        """Open both; they take all cores, whatever is asked for."""
        int8, twin = paths
        with engine_errors(f"the layers of {twin.name} cannot be read"):
            float_model = open_float(twin, self.format)
        with engine_errors(f"the layers of {int8.name} cannot be read"):
            quantized = open_quantized(int8, self.format, float_model.network)
        layers = tuple(float_model.network.layers())
        yield Twins(float_model, quantized, Outline(layers, frozenset(quantized.limits)))


def outline(twins: Twins, _: None) -> Outline:
    """What is known before any picture is run."""
    return twins.outline


def fits(twins: Twins, batch: Batch) -> dict[str, Fit]:
    """What scales are found from, of one batch."""
    return twins.fits(twins.read(batch))


def sums(twins: Twins, item: tuple[Batch, Scales]) -> dict[str, Sums]:
    """How the two runs of one batch differ when these scales are undone."""
    batch, scales = item
    return twins.sums(twins.read(batch), scales)


def _by_channel(values: Values) -> Any:
    return values.sum(axis=tuple(range(values.ndim - 1)))
