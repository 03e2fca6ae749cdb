"""How long each layer of an inference takes, as an engine's own profiler tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 3
"""Inferences before those whose layers are timed."""


@dataclass(frozen=True)
class LayerTime:
    """The time of one executed operation.

    Attributes:
        name: The engine's name for it.
        type: The engine's own type, e.g. ``QLinearConv``.
        kind: The same in common terms, e.g. ``Conv``.
        precision: What it computes in: ``int8``, ``fp16``, ``bf16``, ``fp32``, or ``other``.
        microseconds: Median over the inferences.
        originals: Names in the artifact of what it was made from, where the engine tells them.
        multiply_accumulates: What it really computes, where the engine tells its shapes; None
            else.
    """

    name: str
    type: str
    kind: str
    precision: str
    microseconds: float
    originals: tuple[str, ...] = ()
    multiply_accumulates: int | None = None


def medians(inferences: Sequence[Sequence[float]]) -> list[float]:
    """The median of each layer.

    Args:
        inferences: Times of all layers, in the same order for each inference.

    Raises:
        ValueError: If they do not have the same layers, or there are none.
    """
    if len({len(each) for each in inferences}) != 1 or not inferences[0]:
        raise ValueError("the profiler told other layers from one inference to the next")
    return [float(each) for each in np.median(np.asarray(inferences), axis=0)]
