"""Numbers of the system's files, and of facts that came from elsewhere: none is trusted."""

import math
from pathlib import Path

from edgeferry.system import read_text


def number(value: object) -> float | None:
    """A finite number; None where the value is none, whatever it is.

    Args:
        value: A text, a number, or anything else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """The same, without its fraction."""
    found = number(value)
    return None if found is None else int(found)


def read_number(path: Path) -> float | None:
    """The number that a file holds and nothing else; None where it does not."""
    return number(read_text(path))


def first_number(path: Path) -> float | None:
    """The first word of a file, as a number."""
    return number(next(iter(read_text(path).split()), None))


def counters(path: Path) -> dict[str, int]:
    """A file's lines of a name and a number, like those of ``/proc/vmstat``."""
    pairs = [line.split()[:2] for line in read_text(path).splitlines()]
    found = {pair[0].rstrip(":"): whole(pair[1]) for pair in pairs if len(pair) == 2}
    return {name: count for name, count in found.items() if count is not None}
