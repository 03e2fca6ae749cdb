"""Facts of the machine this process runs on, told by the standard library alone."""

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeferry.system import control_groups, read_text
from edgeferry.threads import physical_cores, usable_cpus

MIB = 2**20
_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Limit and use, in versions 2 and 1 of control groups."""


def machine_facts(root: Path = Path("/")) -> dict[str, Any]:
    """What a latency depends on; None where the system does not tell.

    Args:
        root: Where ``sys`` and ``proc`` are found.
    """
    return {
        "system": platform.platform(),
        "architecture": platform.machine(),
        "processor": _processor(root),
        "logical_cpus": len(usable_cpus()),
        "physical_cores": physical_cores(root),
        "memory_mb": _megabytes(_memory(root).get("MemTotal")),
        "available_mb": _megabytes(available_memory(root)),
        "load_average": _first_number(read_text(root / "proc/loadavg")),
        "governor": read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        or None,
        "python": platform.python_version(),
    }


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that can be used without swapping, within the limit of this process's control group.

    Args:
        root: Where ``sys`` and ``proc`` are found.
    """
    free = _memory(root).get("MemAvailable")
    return min([*([] if free is None else [free]), *_left_in_groups(root)], default=None)


def peak_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process has held at most."""
    for line in read_text(root / "proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _memory(root: Path) -> dict[str, int]:
    lines = [line.partition(":") for line in read_text(root / "proc/meminfo").splitlines()]
    return {name: int(value.split()[0]) * 1024 for name, _, value in lines if value.strip()}


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each control group of this process leaves it."""
    for folder in control_groups(root, "memory"):
        for limit, used in _GROUP_FILES:
            texts = read_text(folder / limit), read_text(folder / used)
            if all(text.isdigit() for text in texts):
                yield max(0, int(texts[0]) - int(texts[1]))


def _processor(root: Path) -> str | None:
    """Its name: of a PC its processor's, of a board the board's."""
    for line in read_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or None


def _first_number(text: str) -> float | None:
    return float(text.split()[0]) if text.strip() else None


def _megabytes(size: int | None) -> int | None:
    return None if size is None else size // MIB
