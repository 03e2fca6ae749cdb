"""Statistics of single channels, over all pictures: means and ranges; no tensor is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Channels:
    """What the channels of one tensor held, each float64 ``[channels]``."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class ChannelObserver:
    """Sums up the channels of some activations, picture by picture.

    Args:
        channel_axis: By tensor name, which of its axes is the channels'.
    """

    def __init__(self, channel_axis: Mapping[str, int]) -> None:
        self._axes = channel_axis
        self._seen: dict[str, Channels] = {}
        self._pictures = 0

    def observe(self, activations: Mapping[str, NDArray[Any]], pictures: int = 1) -> None:
        """Take in the activations of one batch.

        Args:
            activations: By tensor name.
            pictures: How many they are of; batches count by it.
        """
        self._pictures += pictures
        for name, axis in self._axes.items():
            values = activations[name]
            others = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
            new = Channels(
                pictures * values.mean(axis=others, dtype=np.float64),
                values.min(axis=others).astype(np.float64),
                values.max(axis=others).astype(np.float64),
            )
            old = self._seen.get(name)
            self._seen[name] = new if old is None else _merged(old, new)

    def channels(self) -> dict[str, Channels]:
        """What was seen, by tensor name."""
        return {
            name: Channels(seen.mean / self._pictures, seen.low, seen.high)
            for name, seen in self._seen.items()
        }


def _merged(old: Channels, new: Channels) -> Channels:
    """Means are summed until they are asked for."""
    return Channels(
        old.mean + new.mean, np.minimum(old.low, new.low), np.maximum(old.high, new.high)
    )
