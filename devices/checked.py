"""Values from a device's output, which may hold anything."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> float:
    """A finite number.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return float(value)


def finite_or_none(value: Any) -> float | None:
    """A finite number, or None.

    Raises:
        ValueError: If it is neither.
    """
    return None if value is None else finite(value)


def whole_number(value: Any, least: int = 0) -> int:
    """A whole number that is not too small, nor larger than 64 bits hold.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 63:
        raise ValueError(f"{value!r:.40} is no whole number of {least} or more")
    return value


def nanoseconds(value: Any, least: int) -> tuple[int, ...]:
    """Timings, each above 0.

    Args:
        value: What should be a list of them.
        least: How many there are at least.

    Raises:
        ValueError: If one is none, or there are too few.
    """
    if not isinstance(value, list | tuple) or len(value) < least:
        raise ValueError(f"{value!r:.40} are no timings")
    return tuple(whole_number(each, 1) for each in value)


def text(value: Any) -> str:
    """A text.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value


def operations(value: Any) -> list[dict[str, Any]] | None:
    """Operations of an executed graph, counted; None where they are not told.

    Raises:
        ValueError: If they are something else.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.40} are no operations")
    return [
        {
            "op": text(each["op"]),
            "precision": text(each["precision"]),
            "fused": bool(each["fused"]),
            "count": whole_number(each["count"]),
        }
        for each in value
    ]
