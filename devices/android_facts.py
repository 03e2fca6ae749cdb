"""Facts of a phone: its files of ``/proc`` and ``/sys``, brought here and read like this machine's.

A phone has no Python, so its shell tells everything in one go.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from edgeferry.devices.device import Command, Device
from edgeferry.devices.machine import machine_facts
from edgeferry.system import read_text
from edgeferry.threads import physical_cores

_CPU = "/sys/devices/system/cpu"
_ZONE = "/sys/class/thermal/thermal_zone*"
_FILES = (
    *(f"/proc/{name}" for name in ("cpuinfo", "meminfo", "loadavg", "stat", "vmstat", "uptime")),
    "/proc/pressure/cpu",
    f"{_CPU}/online",
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq",
    f"{_CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    f"{_CPU}/cpu[0-9]*/topology/thread_siblings_list",
    f"{_CPU}/cpu[0-9]*/regs/identification/midr_el1",
    f"{_ZONE}/type",
    f"{_ZONE}/temp",
    f"{_ZONE}/trip_point_*",
)
_SCRIPT = f"""\
grep -Hs '' {" ".join(_FILES)}
getprop
echo "[uname.release]: [$(uname -r)]"
echo "[uname.machine]: [$(uname -m)]"
"""
_MOST_CPUS = 10_000
_LINE = re.compile(r"/((?:proc|sys)/[\w/-]+):(.*)")
_PROPERTY = re.compile(r"\[(.+?)\]: \[(.+)\]")
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def android_facts(device: Device) -> dict[str, Any]:
    """What a latency depends on, under the names of ``machine_facts``; None where it is not told.

    Two more tell what programs run there: ``abi``, e.g. ``arm64-v8a``, and ``android_api``, its
    level. Nothing that the phone tells makes it fail.

    Args:
        device: A phone.

    Raises:
        DeviceError: If it cannot be reached, or is lost.
    """
    told = device.run(Command(["sh", "-c", _SCRIPT], 30)).stdout
    found = map(_PROPERTY.fullmatch, told.splitlines())
    properties = {match[1]: match[2] for match in found if match}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_files(told, root)
        return {**machine_facts(root), **_own_facts(properties, root)}


def _write_files(told: str, root: Path) -> None:
    """Lay its files out below a folder of this machine."""
    texts: dict[str, list[str]] = {}
    for match in map(_LINE.fullmatch, told.splitlines()):
        if match:
            texts.setdefault(match[1], []).append(match[2])
    for name, lines in texts.items():
        with contextlib.suppress(OSError):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines), encoding="utf-8")


def _own_facts(properties: Mapping[str, str], root: Path) -> dict[str, Any]:
    """What ``machine_facts`` asks of the Python that runs it, and would tell of this machine."""
    get = properties.get
    cpus = sorted({*islice(_numbers(read_text(root / f".{_CPU}/online")), _MOST_CPUS)})
    version = get("ro.build.version.release")
    processor = get("ro.soc.model") or get("ro.board.platform") or get("ro.hardware")
    own: dict[str, Any] = {
        "system": version and f"Android {version}",
        "kernel": get("uname.release"),
        "libc": None,
        "architecture": get("uname.machine"),
        "board": _named(get("ro.product.manufacturer"), get("ro.product.model")),
        "processor": _named(get("ro.soc.manufacturer"), processor),
        "virtualized": True if "1" in (get("ro.boot.qemu"), get("ro.kernel.qemu")) else None,
        "logical_cpus": len(cpus) or None,
        "usable_cpus": cpus or None,
        "physical_cores": physical_cores(root, cpus) if cpus else None,
        "python": None,
        "packages": None,
        "own_ticks": None,
        "abi": get("ro.product.cpu.abi"),
    }
    level = get("ro.build.version.sdk", "")
    return {**own, "android_api": int(level) if re.fullmatch(r"\d{1,3}", level) else None}


def _numbers(ranges: str) -> Iterator[int]:
    """The numbers of ``0-3,6``."""
    for match in map(_RANGE.fullmatch, ranges.split(",")):
        if match:
            yield from range(int(match[1]), int(match[2] or match[1]) + 1)


def _named(maker: str | None, model: str | None) -> str | None:
    """A model with its maker's name, which some models begin with."""
    if not (maker and model) or model.lower().startswith(maker.lower()):
        return model
    return f"{maker} {model}"
