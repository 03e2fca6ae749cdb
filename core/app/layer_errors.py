"""How far the tensors of an int8 artifact are from those of its float twin, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import log10, sqrt
from typing import Any

import numpy as np

from edgeferry.app.crew import Crew
from edgeferry.app.layer_sums import Fit, Outline, Scales, Sums, TwinFiles, fits, outline, sums
from edgeferry.errors import UsageError
from edgeferry.exporters.network import Layer
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
    """Two runs of one tensor, compared picture by picture: sums are kept, no tensor is."""

    def __init__(self) -> None:
        self._signal: Any = np.float64(0)
        self._noise: Any = np.float64(0)
        self._own: float = 0.0
        self._product: float = 0.0
        self._outside = 0
        self._count = 0

    def add(self, batch: Sums) -> None:
        """Take in one batch."""
        self._signal = self._signal + batch.signal
        self._noise = self._noise + batch.noise
        self._own += batch.own
        self._product += batch.product
        self._outside += batch.outside
        self._count += batch.count

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


class RunningScales:
    """The scale of each channel in the int8 run: least squares over what was seen so far.

    Equalization gives channels scales of their own.
    """

    def __init__(self) -> None:
        self._signal: dict[str, Any] = {}
        self._alike: dict[str, Any] = {}

    def after(self, batch: Mapping[str, Fit]) -> Scales:
        """The scales with one more batch, by tensor name."""
        return {name: self._after(name, fit) for name, fit in batch.items()}

    def _after(self, name: str, fit: Fit) -> Any:
        signal = self._signal[name] = self._signal.get(name, np.float64(0)) + fit.signal
        alike = self._alike[name] = self._alike.get(name, np.float64(0)) + fit.alike
        return np.divide(alike, signal, out=np.ones_like(signal), where=alike > 0)


def layer_errors(
    files: TwinFiles,
    pictures: Calibration,
    progress: Progress = silent,
    rescaled: bool = False,
    crew: Crew | None = None,
) -> list[LayerError]:
    """Run both over pictures and compare the results of every layer, in order.

    Memory does not grow with the number of pictures.

    Args:
        files: The int8 artifact and its float twin.
        pictures: In batches as they take them.
        progress: Told after each batch.
        rescaled: Whether channels of the int8 artifact may have scales of their own, as
            equalization gives them; those that fit best are undone.
        crew: Who runs them; None runs them here, one batch after another.

    Raises:
        UsageError: If the two have no layer in common.
    """
    if crew is not None:
        (known,) = crew.map(outline, files, [None])
        return _merged(known, _spread(crew, files, pictures, rescaled), len(pictures), progress)
    with files.opened(files.paths) as twins:
        scales = RunningScales()

        def compared() -> Iterator[Mapping[str, Sums]]:
            for batch in pictures:
                pairs = twins.read(batch)
                fitting = scales.after(twins.fits(pairs)) if rescaled else {}
                yield twins.sums(pairs, fitting)

        return _merged(twins.outline, compared(), len(pictures), progress)


def _spread(
    crew: Crew, files: TwinFiles, pictures: Calibration, rescaled: bool
) -> Iterator[Mapping[str, Sums]]:
    """The sums of each batch, in order.

    The scales of a batch depend on all before it: then each is run once for them and once more
    for its sums, a little later.
    """
    if not rescaled:
        return crew.map(sums, files, ((batch, {}) for batch in pictures))
    scales, fitted = RunningScales(), crew.map(fits, files, pictures)
    items = ((batch, scales.after(fit)) for batch, fit in zip(pictures, fitted, strict=True))
    return crew.map(sums, files, items)


def _merged(
    known: Outline, batches: Iterable[Mapping[str, Sums]], total: int, progress: Progress
) -> list[LayerError]:
    errors: dict[str, TensorError] = {}
    for done, batch in enumerate(batches, 1):
        for name, summed in batch.items():
            errors.setdefault(name, TensorError()).add(summed)
        progress("comparing layers", done, total)
    if not any(layer.result in errors for layer in known.layers):
        raise UsageError(
            "the int8 artifact and its reference have no layer in common",
            "Export both in one go: edgeferry export --precisions fp32,int8",
        )
    return [
        _layer_error(layer, position, errors, layer.result in known.quantized)
        for position, layer in enumerate(known.layers, 1)
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
