"""What programs that run for minutes are judged by: the memory that a process has in use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

MOST_GROWTH = 2.0
"""MB of resident memory, once warm."""


def resident(pid: int | str) -> float:
    """MB of memory that a process has in use; 0 where it is gone."""
    return _pages(pid, 1)


def from_files(pid: int | str) -> float:
    """MB thereof that are pages of files, which the kernel takes away and reads again."""
    return _pages(pid, 2)


def growth(sizes: Sequence[float]) -> float:
    """MB that a process grew by at most, after the first of some sizes."""
    return max(sizes) - sizes[0]


def show(*cells: object) -> None:
    """A row of a table."""
    print(" ".join(f"{cell!s:>12}" for cell in cells), flush=True)


def judge(promises: Mapping[str, bool]) -> bool:
    """Print a line for each thing that was promised; tell whether all were kept."""
    for text, is_kept in promises.items():
        print("PASS" if is_kept else "FAIL", text, flush=True)
    return all(promises.values())


def _pages(pid: int | str, column: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[column])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
