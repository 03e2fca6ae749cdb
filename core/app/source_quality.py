"""Whether the source itself answers well, told before any time is spent on quantizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, get_args

from edgeferry.app.statistics import wilson_interval
from edgeferry.contract import Contract, Preprocessing
from edgeferry.errors import LabelError
from edgeferry.labels import match_label

if TYPE_CHECKING:
    from edgeferry.calibration.store import CalibrationSet

Ask = Callable[[Sequence[Preprocessing], int], Mapping[str, Sequence[bool]]]
"""Asks the source with some preprocessings about the first pictures: which it gets right."""

_WELL = 95.0
"""Percent right from which on no other preprocessing is tried."""
_BADLY = 50.0
_TRIED = 40
"""Pictures on which the others are tried."""
_SCREENED = 16
"""Pictures on which another must first do no worse than the one told."""
_SIGNIFICANT = 2.5
"""Standard deviations, with four others tried."""


@dataclass(frozen=True)
class SourceQuality:
    """How the source did on labeled pictures.

    Attributes:
        top1: Percent right.
        images: Of how many pictures.
        warning: What is probably wrong, in words; None where nothing is.
    """

    top1: float
    images: int
    warning: str | None


def source_quality(told: Preprocessing, images: int, channels: int, ask: Ask) -> SourceQuality:
    """Ask the source, and with other preprocessings too where it could do better.

    Args:
        told: The preprocessing that the user gave.
        images: Number of labeled pictures.
        channels: 3, or 1 for a network that takes no preprocessing by color.
        ask: Asks the source.
    """
    right = ask([told], images)[told]
    top1 = 100 * sum(right) / images
    warning = None
    if top1 < _WELL:
        others = _promising(told, right[:_SCREENED], ask) if channels == 3 else []
        warning = _better(told, right[:_TRIED], ask(others, min(_TRIED, images)) if others else {})
    if warning is None and wilson_interval(sum(right), images)[1] < _BADLY:
        warning = (
            f"the source itself gets only {top1:.1f} % of {images} labeled pictures right: "
            "check --preprocessing, --resize and the labels before you trust any artifact"
        )
    return SourceQuality(top1, images, warning)


def _promising(told: Preprocessing, right: Sequence[bool], ask: Ask) -> list[Preprocessing]:
    """The other preprocessings that do no worse on the first pictures."""
    others: list[Preprocessing] = [mode for mode in get_args(Preprocessing) if mode != told]
    found = ask(others, len(right))
    return [mode for mode in others if sum(found[mode]) >= sum(right)]


def _better(told: str, right: Sequence[bool], others: Mapping[str, Sequence[bool]]) -> str | None:
    """A warning if another preprocessing gets significantly more of the same pictures right.

    McNemar, 1947, https://doi.org/10.1007/BF02295996.
    """
    for mode in sorted(others, key=lambda each: -sum(others[each])):
        gained = sum(b and not a for a, b in zip(right, others[mode], strict=True))
        lost = sum(a and not b for a, b in zip(right, others[mode], strict=True))
        if gained and (gained - lost) / sqrt(gained + lost) > _SIGNIFICANT:
            return (
                f"the source itself gets {sum(right)} of {len(right)} labeled pictures right with "
                f"--preprocessing {told}, {sum(others[mode])} with {mode}: is {told} a mistake?"
            )
    return None


def true_classes(pictures: CalibrationSet, contract: Contract) -> list[int] | None:
    """The pictures' classes, None where their folders do not name the network's classes."""
    names = [name for name in pictures.class_names if name is not None]
    if len(names) < len(pictures.class_names):
        return None
    try:
        return [match_label(name, contract.labels, contract.classes) for name in names]
    except LabelError:
        return None
