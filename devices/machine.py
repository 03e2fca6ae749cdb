"""Facts of the machine this process runs on, told by the standard library alone.

``python -m edgeferry.devices.machine`` prints them as one line of JSON.
"""

import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgeferry.devices import pressure, processor, temperature
from edgeferry.devices.sysfiles import counters
from edgeferry.devices.throttling import throttling
from edgeferry.system import control_groups, read_text
from edgeferry.threads import physical_cores, usable_cpus

MIB = 2**20
PACKAGES = ("onnxruntime", "ai-edge-litert", "tflite-runtime", "openvino", "numpy", "pillow")
"""What an artifact needs to run; the versions depend on the Python that is asked."""
_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Limit and use, in versions 2 and 1 of control groups."""

Fact = Callable[[Path], Any]


def machine_facts(root: Path = Path("/")) -> dict[str, Any]:
    """What a latency depends on, as plain data; None where the system does not tell.

    Sizes are in MiB, clocks in MHz, temperatures in degrees Celsius; counters count since
    boot. Nothing that lies in the system's files makes it fail.

    Args:
        root: Where ``sys`` and ``proc`` are found.
    """
    facts = {name: _told(fact, root) for name, fact in _FACTS.items()}
    return {**facts, **pressure.paging(root)}


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that can be used without swapping, within the limit of this process's control group.

    Args:
        root: Where ``sys`` and ``proc`` are found.
    """
    free = _memory(root).get("MemAvailable")
    groups = _told(lambda root: list(_left_in_groups(root)), root) or []
    return min([*([] if free is None else [free * 1024]), *groups], default=None)


def peak_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process has held at most."""
    kilobytes = counters(root / "proc/self/status").get("VmHWM")
    if kilobytes is not None:
        return kilobytes * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _told(fact: Fact, root: Path) -> Any:
    """A fact, or None where a file holds what nobody foresaw."""
    try:
        return fact(root)
    except (ArithmeticError, AttributeError, LookupError, OSError, ValueError):
        return None


def _memory(root: Path) -> dict[str, int]:
    """Kibibytes."""
    return counters(root / "proc/meminfo")


def _megabytes(name: str) -> Fact:
    """The fact of one line of ``/proc/meminfo``."""
    return lambda root: _memory(root)[name] * 1024 // MIB


def _available(root: Path) -> int | None:
    size = available_memory(root)
    return None if size is None else size // MIB


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each control group of this process leaves it."""
    for folder in control_groups(root, "memory"):
        for limit, used in _GROUP_FILES:
            texts = read_text(folder / limit), read_text(folder / used)
            if all(text.isdigit() for text in texts):
                yield max(0, int(texts[0]) - int(texts[1]))


def _libc(_: Path) -> str | None:
    return " ".join(platform.libc_ver()).strip() or None


def _packages(_: Path) -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


_FACTS: dict[str, Fact] = {
    "system": lambda _: platform.platform(),
    "kernel": lambda _: platform.release(),
    "libc": _libc,
    "architecture": lambda _: platform.machine(),
    "board": processor.board,
    "processor": processor.processor,
    "isa": processor.isa_features,
    "midr": processor.midr,
    "virtualized": processor.virtualized,
    "logical_cpus": lambda _: len(usable_cpus()),
    "usable_cpus": lambda _: sorted(usable_cpus()),
    "online_cpus": processor.online_cpus,
    "physical_cores": physical_cores,
    "governor": processor.governor,
    "clocks_mhz": processor.clocks,
    "temperatures_c": temperature.temperatures,
    "temperature_c": temperature.hottest,
    "trip_c": temperature.trip_point,
    "throttled": throttling,
    "memory_mb": _megabytes("MemTotal"),
    "available_mb": _available,
    "swap_mb": _megabytes("SwapTotal"),
    "swap_free_mb": _megabytes("SwapFree"),
    "load_average": pressure.load_average,
    "runnable_tasks": pressure.runnable_tasks,
    "cpu_pressure": pressure.cpu_pressure,
    "processor_ticks": pressure.processor_ticks,
    "own_ticks": pressure.own_ticks,
    "uptime_s": pressure.uptime,
    "python": lambda _: platform.python_version(),
    "packages": _packages,
}

if __name__ == "__main__":
    print(json.dumps(machine_facts()))
