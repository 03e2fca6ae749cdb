"""What the processor is, what it can do, and how fast it runs."""

import platform
import re
from collections.abc import Iterator
from pathlib import Path

from edgeferry.devices.sysfiles import read_number
from edgeferry.system import read_text

_CPUS = "sys/devices/system/cpu"
_CLOCKS = {
    "now": "scaling_cur_freq",
    "max": "cpuinfo_max_freq",
    "base": "base_frequency",
}
"""Files of a policy, in kHz: Documentation/admin-guide/pm/cpufreq.rst of the Linux kernel.
``base``, which Intel's driver tells, is what all cores keep up; ``max`` is what one may reach."""
_NAME_FILES = ("proc/device-tree/model", "sys/firmware/devicetree/base/model")
_PRODUCT_FILE = "sys/class/dmi/id/product_name"
_FOR_INFERENCE = re.compile(
    r"neon|vfpv4|asimd(hp|dp|fhm)?|atomics|(sve)?(i8mm|bf16)|sve2?|sme2?"
    r"|sse4_[12]|f16c|fma|avx\w*|amx_\w+"
)
"""Flags, as ``/proc/cpuinfo`` names them."""


def board(root: Path = Path("/")) -> str | None:
    """The machine's name: of its device tree, else of its processor file, else of its BIOS."""
    names = [read_text(root / file) for file in _NAME_FILES]
    names += [*_told(root, "Model"), read_text(root / _PRODUCT_FILE)]
    return next((name.rstrip("\0") for name in names if name.strip("\0")), None)


def processor(root: Path = Path("/")) -> str | None:
    """Its name: of a PC its processor's, of a board the board's."""
    return next(_told(root, "model name", "Model"), None) or platform.processor() or None


def isa_features(root: Path = Path("/")) -> list[str] | None:
    """The instruction sets useful for inference that every core has, as Linux names them."""
    flags = [set(line.split()) for line in _told(root, "flags", "Features")]
    return sorted(filter(_FOR_INFERENCE.fullmatch, set.intersection(*flags))) if flags else None


def virtualized(root: Path = Path("/")) -> bool | None:
    """Whether the machine is a virtual one; None where nothing hints at either."""
    flags = next(_told(root, "flags"), None)
    if flags is not None:
        return "hypervisor" in flags.split()
    hints = ("sys/hypervisor/type", "proc/device-tree/hypervisor/compatible")
    return True if any(read_text(root / hint) for hint in hints) else None


def midr(root: Path = Path("/")) -> list[str] | None:
    """MIDR of an Arm processor's kinds of cores, hexadecimal."""
    paths = sorted(root.glob(f"{_CPUS}/cpu[0-9]*/regs/identification/midr_el1"))
    return sorted({text for path in paths if (text := read_text(path))}) or None


def online_cpus(root: Path = Path("/")) -> str | None:
    """Numbers of the logical processors that are on, as ranges: ``0-3``."""
    return read_text(root / _CPUS / "online") or None


def governor(root: Path = Path("/")) -> str | None:
    """What sets the first processor's clock."""
    return read_text(clock_folder(root, 0) / "scaling_governor") or None


def clocks(root: Path = Path("/")) -> dict[str, dict[str, float | None]] | None:
    """MHz of each logical processor, by its number: ``now``, ``max`` and ``base``."""
    folders = sorted(root.glob(f"{_CPUS}/cpu[0-9]*/cpufreq"))
    return {each.parent.name.removeprefix("cpu"): _clocks(each) for each in folders} or None


def clock_folder(root: Path, cpu: int) -> Path:
    """Where the kernel tells of one logical processor's clock."""
    return root / _CPUS / f"cpu{cpu}/cpufreq"


def clock_now(folder: Path) -> float | None:
    """MHz that the processor of a folder runs at."""
    return _megahertz(folder / _CLOCKS["now"])


def _clocks(folder: Path) -> dict[str, float | None]:
    return {name: _megahertz(folder / file) for name, file in _CLOCKS.items()}


def _megahertz(path: Path) -> float | None:
    kilohertz = read_number(path)
    return kilohertz / 1000 if kilohertz is not None and kilohertz > 0 else None


def _told(root: Path, *names: str) -> Iterator[str]:
    """Values of ``/proc/cpuinfo`` with one of these names."""
    for line in read_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names and value.strip():
            yield value.strip()
