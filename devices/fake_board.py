"""What Linux would tell of an emulated board: its processor, clocks, temperature and name.

Engines read this to choose their kernels, and crash on what an x86 machine tells. What is not
made up here (memory, load, the kernel) is the machine's that emulates.
"""

from collections.abc import Iterator
from pathlib import Path

from edgeferry.devices.profile import Profile

MIDRS = {"cortex-a53": 0x410FD034, "cortex-a72": 0x410FD083, "cortex-a76": 0x414FD0B1}
"""Identification registers of the processors of Raspberry Pi 3, 4 and 5, by QEMU's names of them
(Arm Architecture Reference Manual, MIDR_EL1)."""

_CPU = "sys/devices/system/cpu"
_ZONE = "sys/class/thermal/thermal_zone0"


def write_board(root: Path, profile: Profile, midr: int, cpus: int) -> None:
    """Write the files that tell of a board; its name is marked as emulated.

    Args:
        root: Top folder of its system; ``proc`` and ``sys`` are made in it.
        profile: What it is.
        midr: Its processor's identification register.
        cpus: How many processors it shows.
    """
    for path, text in _files(profile, midr, cpus):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")


def _files(profile: Profile, midr: int, cpus: int) -> Iterator[tuple[str, str]]:
    model, every = f"{profile.title} (emulated)", f"0-{cpus - 1}\n"
    yield "proc/cpuinfo", _cpuinfo(model, profile.features, midr, cpus)
    yield "proc/device-tree/model", f"{model}\0"
    yield f"{_ZONE}/type", "cpu-thermal\n"
    yield f"{_ZONE}/temp", "45000\n"
    for name in ("possible", "present", "online"):
        yield f"{_CPU}/{name}", every
    yield f"{_CPU}/kernel_max", f"{cpus - 1}\n"
    for number in range(cpus):
        folder = f"{_CPU}/cpu{number}"
        yield from _topology(f"{folder}/topology", number, every)
        yield from _clocks(f"{folder}/cpufreq", (profile.clock_mhz or 1000) * 1000)
        yield f"{folder}/regs/identification/midr_el1", f"{midr:#018x}\n"


def _topology(folder: str, number: int, every: str) -> Iterator[tuple[str, str]]:
    yield f"{folder}/core_id", f"{number}\n"
    yield f"{folder}/physical_package_id", "0\n"
    for name in ("core_cpus_list", "thread_siblings_list"):
        yield f"{folder}/{name}", f"{number}\n"
    for name in ("core_siblings_list", "package_cpus_list"):
        yield f"{folder}/{name}", every


def _clocks(folder: str, kilohertz: int) -> Iterator[tuple[str, str]]:
    yield f"{folder}/scaling_governor", "ondemand\n"
    for bound in ("scaling_cur", "scaling_max", "cpuinfo_max"):
        yield f"{folder}/{bound}_freq", f"{kilohertz}\n"
    for bound in ("scaling_min", "cpuinfo_min"):
        yield f"{folder}/{bound}_freq", "600000\n"


def _cpuinfo(model: str, features: tuple[str, ...], midr: int, cpus: int) -> str:
    described = (
        f"Features\t: {' '.join(features)}\n"
        f"CPU implementer\t: {midr >> 24:#x}\n"
        f"CPU architecture: 8\n"
        f"CPU variant\t: {midr >> 20 & 0xF:#x}\n"
        f"CPU part\t: {midr >> 4 & 0xFFF:#x}\n"
        f"CPU revision\t: {midr & 0xF}\n\n"
    )
    every = "".join(f"processor\t: {number}\n{described}" for number in range(cpus))
    return f"{every}Model\t\t: {model}\n"
