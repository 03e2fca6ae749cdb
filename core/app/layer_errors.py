"""How far the tensors of an int8 artifact are from those of its float twin, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import UsageError
from edgeferry.exporters.network import Layer
from edgeferry.exporters.quantized_reader import FloatModel, Limits, QuantizedReader
from edgeferry.exporters.statistics import Calibration
from edgeferry.progress import Progress, silent


@dataclass(frozen=True)
class LayerError:
    """What int8 did to the result of one layer, activation included.

    Attributes:
        layer: Its name in the source.
        kind: ``Conv``, ``DepthwiseConv`` or ``MatMul``.
        position: Its place in the network, from 1.
        block: Number of its residual block; None outside of any.
        precision: ``int8``, or ``fp32`` where its result is not quantized.
        sqnr_db: Signal to quantization noise, decibels; None where nothing differs.
        cosine: Cosine of the angle between the two; None where one is all 0.
        saturated: Percent of the float values that the integers cannot represent.
        error: Mean over the channels of noise over signal, each 1 at most.
        added: How much of that was not in what the layer read.
    """

    layer: str
    kind: str
    position: int
    block: int | None
    precision: str
    sqnr_db: float | None
    cosine: float | None
    saturated: float
    error: float
    added: float


class TensorError:
    """Two runs of one tensor, compared picture by picture: sums are kept, no tensor is.

    Args:
        channel_axis: Which axis of pictures the channels are; of vectors it is the last.
        limits: What its integers can represent; None for a float tensor.
        rescaled: Whether channels of the int8 run may have scales of their own, as equalization
            gives them; those that fit best are undone.
    """

    def __init__(self, channel_axis: int, limits: Limits | None, rescaled: bool = False) -> None:
        self._axis = channel_axis
        self._limits = limits
        self._rescaled = rescaled
        self._signal: Any = np.float64(0)
        self._noise: Any = np.float64(0)
        self._alike: Any = np.float64(0)
        self._own: float = 0.0
        self._product: float = 0.0
        self._outside = 0
        self._count = 0

    def add(self, reference: NDArray[np.float32], own: NDArray[np.float32]) -> None:
        """Take in one batch of the float run and of the int8 run."""
        expected, found = (self._channels_last(each) for each in (reference, own))
        self._signal = self._signal + _by_channel(expected**2)
        scales = self._scales(expected, found) if self._rescaled else np.float64(1)
        found = found / scales
        self._noise = self._noise + _by_channel((found - expected) ** 2)
        self._own += float((found**2).sum())
        self._product += float((expected * found).sum())
        self._count += expected.size
        if self._limits is not None:
            self._outside += self._count_outside(expected * scales, self._limits)

    def sqnr_db(self) -> float | None:
        """Decibels; None where nothing differs, or there is no signal."""
        signal, noise = float(np.sum(self._signal)), float(np.sum(self._noise))
        return 10 * log10(signal / noise) if signal and noise else None

    def cosine(self) -> float | None:
        """Of the angle between the two; None where one is all 0."""
        lengths = sqrt(float(np.sum(self._signal)) * self._own)
        return self._product / lengths if lengths else None

    def saturated(self) -> float:
        """Percent of the float values that lie outside of what the integers represent."""
        return 100 * self._outside / self._count

    def error(self) -> float:
        """Mean over the channels of noise over signal, each 1 at most.

        By channel, since one large channel would hide that all others are lost.
        """
        share = np.divide(
            self._noise, self._signal, out=np.sign(self._noise), where=self._signal > 0
        )
        return float(np.minimum(share, 1).mean())

    def _channels_last(self, values: NDArray[Any]) -> NDArray[np.float64]:
        moved = np.moveaxis(values, self._axis, -1) if values.ndim == 4 else values
        return moved.astype(np.float64)

    def _scales(
        self, expected: NDArray[np.float64], found: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Scale of each channel in the int8 run: least squares over what was seen so far."""
        self._alike = self._alike + _by_channel(expected * found)
        scales: NDArray[np.float64] = np.ones_like(self._signal)
        np.divide(self._alike, self._signal, out=scales, where=self._alike > 0)
        return scales

    def _count_outside(self, values: NDArray[np.float64], limits: Limits) -> int:
        low, high, step = (
            self._channels_last(each) for each in (limits.low, limits.high, limits.step)
        )
        return int(np.sum((values < low - step / 2) | (values > high + step / 2)))


def _by_channel(values: NDArray[np.float64]) -> Any:
    return values.sum(axis=tuple(range(values.ndim - 1)))


def layer_errors(
    twin: FloatModel,
    quantized: QuantizedReader,
    pictures: Calibration,
    progress: Progress = silent,
    rescaled: bool = False,
) -> list[LayerError]:
    """Run both over pictures and compare the results of every layer, in order.

    Memory does not grow with the number of pictures.

    Args:
        twin: The float artifact.
        quantized: The int8 artifact.
        pictures: In batches as they take them.
        progress: Told after each batch.
        rescaled: Whether the int8 artifact was equalized.

    Raises:
        UsageError: If the two have no layer in common.
    """
    layers = twin.network.layers()
    wanted = {name for layer in layers for name in (layer.result, *layer.sources)}
    errors: dict[str, TensorError] = {}
    for done, batch in enumerate(pictures, 1):
        expected, found = twin.reader.read(batch), quantized.read(batch)
        for name in wanted & expected.keys() & found.keys():
            if name not in errors:
                errors[name] = TensorError(twin.channel_axis, quantized.limits.get(name), rescaled)
            errors[name].add(expected[name], found[name])
        progress("comparing layers", done, len(pictures))
    if not any(layer.result in errors for layer in layers):
        raise UsageError(
            "the int8 artifact and its reference have no layer in common",
            "Export both in one go: edgeferry export --precisions fp32,int8",
        )
    return [
        _layer_error(layer, position, errors, layer.result in quantized.limits)
        for position, layer in enumerate(layers, 1)
        if layer.result in errors
    ]


def ranked(errors: Iterable[LayerError]) -> list[LayerError]:
    """The layer that adds most error first."""
    return sorted(errors, key=lambda each: -each.added)


def _layer_error(
    layer: Layer, position: int, errors: dict[str, TensorError], quantized: bool
) -> LayerError:
    result = errors[layer.result]
    before = max((errors[name].error() for name in layer.sources if name in errors), default=0.0)
    return LayerError(
        layer=layer.name,
        kind=layer.kind,
        position=position,
        block=layer.block,
        precision="int8" if quantized else "fp32",
        sqnr_db=result.sqnr_db(),
        cosine=result.cosine(),
        saturated=result.saturated(),
        error=result.error(),
        added=result.error() - before,
    )
