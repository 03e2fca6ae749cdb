"""One pass over the calibration pictures: what the activations of a float model hold."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.histogram import Range
from edgeferry.calibration.ranges import Histograms
from edgeferry.calibration.store import CalibrationSet, StoredPictures
from edgeferry.contract import InputSpec
from edgeferry.exporters.channels import ChannelObserver, Channels
from edgeferry.progress import Progress

_MOVING = "percentile"
"""The method by which it is judged whether ranges still move: one picture does not sway it."""


@dataclass(frozen=True)
class Batch:
    """Pictures as a network takes them.

    Attributes:
        pictures: uint8 ``[N, height, width, channels]``.
        count: How many of them count; the others fill the batch up.
    """

    pictures: NDArray[np.uint8]
    count: int

    def real(self, activations: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The activations of the pictures that count, by tensor name."""
        size = len(self.pictures)
        if self.count == size:
            return activations
        return {
            name: values[: self.count] if values.shape[:1] == (size,) else values
            for name, values in activations.items()
        }


@dataclass(frozen=True)
class Calibration:
    """The pictures to calibrate on, streamed from disk in batches as the network takes them.

    Attributes:
        pictures: uint8 ``[1, height, width, channels]`` each.
        sha256: Digest of the pictures in order, hexadecimal.
        batch: Pictures per batch.
    """

    pictures: StoredPictures
    sha256: str
    batch: int = 1

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.pictures) // self.batch)

    def __iter__(self) -> Iterator[Batch]:
        """Each batch; the last is filled up with copies of its last picture."""
        remaining = iter(self.pictures)
        while batch := list(islice(remaining, self.batch)):
            filled = batch + batch[-1:] * (self.batch - len(batch))
            yield Batch(np.concatenate(filled), len(batch))


def batches_of(stored: CalibrationSet, spec: InputSpec) -> Calibration:
    """Decoded pictures in batches as a network takes them."""
    return Calibration(StoredPictures(stored.path), stored.sha256, spec.batch or 1)


class ActivationReader(Protocol):
    """A float model opened so that every activation can be read."""

    def read(self, batch: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Activations by tensor name for a batch, uint8 ``[N, height, width, channels]``.

        They stay as they are until the call after the next.
        """


@dataclass(frozen=True)
class Statistics:
    """What quantization needs to know of the activations.

    Attributes:
        histograms: Of each activation; any method's ranges come from them.
        channels: Of the inputs of weighted operations, by tensor name.
        ranges_at_half: The ranges after half of the pictures, by tensor name.
    """

    histograms: Histograms
    channels: dict[str, Channels]
    ranges_at_half: dict[str, Range]

    def ranges(self, method: str) -> dict[str, Range]:
        """Range of each activation, by tensor name.

        Args:
            method: Name of the range-finding method.

        Raises:
            UsageError: If there is no method of that name.
        """
        return self.histograms.ranges(method)

    def ranges_at_end(self) -> dict[str, Range]:
        """What ``ranges_at_half`` became with the other half."""
        return self.histograms.ranges(_MOVING)


def collect(
    reader: ActivationReader,
    calibration: Calibration,
    channel_axes: Mapping[str, int],
    progress: Progress,
) -> Statistics:
    """Run every calibration batch once; memory does not grow with their number.

    While the model runs on a batch, another thread counts what the one before gave.

    Args:
        reader: The float model.
        calibration: The pictures.
        channel_axes: Tensors whose channels are wanted, with their channel axis.
        progress: Told before each batch.
    """
    histograms, channels = Histograms(), ChannelObserver(channel_axes)
    at_half: dict[str, Range] = {}

    def count(activations: Mapping[str, NDArray[Any]], pictures: int, number: int) -> None:
        histograms.observe(activations)
        channels.observe(activations, pictures)
        if number == len(calibration) // 2:
            at_half.update(histograms.ranges(_MOVING))

    with ThreadPoolExecutor(1) as counting:
        before: Future[None] | None = None
        for number, batch in enumerate(calibration, 1):
            progress("calibrating", number - 1, len(calibration))
            activations = batch.real(reader.read(batch.pictures))
            if before is not None:
                before.result()
            before = counting.submit(count, activations, batch.count, number)
        if before is not None:
            before.result()
    return Statistics(histograms, channels.channels(), at_half)
