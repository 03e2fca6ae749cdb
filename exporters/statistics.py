"""One pass over the calibration pictures: ranges and channel means of a float model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.ranges import Range, range_finder
from edgeferry.exporters.base import Calibration
from edgeferry.exporters.bias_correction import ChannelMeans
from edgeferry.progress import Progress


class ActivationReader(Protocol):
    """A float model opened so that every activation can be read."""

    def read(self, batch: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Activations by tensor name for a batch, uint8 ``[N, height, width, channels]``."""


@dataclass(frozen=True)
class Statistics:
    """What quantization needs to know of the activations.

    Attributes:
        ranges: Range of each activation, by tensor name.
        means: Float64 ``[channels]`` of the inputs of weighted operations, by tensor name.
    """

    ranges: dict[str, Range]
    means: dict[str, NDArray[np.float64]]


def collect(
    reader: ActivationReader,
    calibration: Calibration,
    channel_axes: Mapping[str, int],
    progress: Progress,
) -> Statistics:
    """Run every calibration batch once; memory does not grow with their number.

    Args:
        reader: The float model.
        calibration: The pictures and the range-finding method.
        channel_axes: Tensors whose channel means are wanted, with their channel axis.
        progress: Told before each batch.
    """
    finder, means = range_finder(calibration.info.method), ChannelMeans(channel_axes)
    for done, batch in enumerate(calibration):
        progress("calibrating", done, len(calibration))
        activations = reader.read(batch)
        finder.observe(activations)
        means.observe(activations)
    return Statistics(finder.ranges(), means.means())
