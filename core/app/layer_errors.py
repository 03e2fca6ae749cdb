"""How far the tensors of an int8 artifact are from those of its float twin, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.quantized_reader import FloatModel, Limits, QuantizedReader
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
    """

    def __init__(self, channel_axis: int, limits: Limits | None) -> None:
        self._axis = channel_axis
        self._limits = limits
        self._signal: Any = np.float64(0)
        self._noise: Any = np.float64(0)
        self._own: float = 0.0
        self._product: float = 0.0
        self._outside = 0
        self._count = 0

    def add(self, reference: NDArray[np.float32], own: NDArray[np.float32]) -> None:
        """Take in one batch of the float run and of the int8 run."""
        expected, found = (each.astype(np.float64) for each in (reference, own))
        axis = self._axis % expected.ndim if expected.ndim == 4 else expected.ndim - 1
        others = tuple(each for each in range(expected.ndim) if each != axis)
        self._signal = self._signal + (expected**2).sum(axis=others)
        self._noise = self._noise + ((found - expected) ** 2).sum(axis=others)
        self._own += float((found**2).sum())
        self._product += float((expected * found).sum())
        self._count += expected.size
        if self._limits is not None:
            low, high, half = self._limits.low, self._limits.high, self._limits.step / 2
            self._outside += int(np.sum((expected < low - half) | (expected > high + half)))

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


def layer_errors(
    twin: FloatModel,
    quantized: QuantizedReader,
    batches: Iterable[NDArray[np.uint8]],
    total: int,
    progress: Progress = silent,
) -> list[LayerError]:
    """Run both over pictures and compare the results of every layer, in order.

    Memory does not grow with the number of pictures.

    Args:
        twin: The float artifact.
        quantized: The int8 artifact.
        batches: uint8 ``[N, height, width, channels]`` as they take them.
        total: Number of batches.
        progress: Told after each batch.
    """
    layers = twin.network.layers()
    wanted = {name for layer in layers for name in (layer.result, *layer.sources)}
    errors: dict[str, TensorError] = {}
    for done, batch in enumerate(batches, 1):
        expected, found = twin.reader.read(batch), quantized.read(batch)
        for name in wanted & expected.keys() & found.keys():
            if name not in errors:
                errors[name] = TensorError(twin.channel_axis, quantized.limits.get(name))
            errors[name].add(expected[name], found[name])
        progress("comparing layers", done, total)
    return [
        _layer_error(layer, position, errors, layer.result in quantized.limits)
        for position, layer in enumerate(layers, 1)
        if layer.result in errors
    ]


def ranked(errors: Iterable[LayerError]) -> list[LayerError]:
    """The layer that adds most error first."""
    return sorted(errors, key=lambda each: -each.added)


def _layer_error(
    layer: Any, position: int, errors: dict[str, TensorError], quantized: bool
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
