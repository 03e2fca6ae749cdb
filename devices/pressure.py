"""What else the machine had to do: counters of the kernel, to be compared before and after."""

import os
import re
from pathlib import Path

from edgeferry.devices.sysfiles import counters, first_number, number, whole
from edgeferry.system import read_text

_SOME = re.compile(r"^some avg10=(\S+) .*total=(\S+)", re.MULTILINE)


def load_average(root: Path = Path("/")) -> float | None:
    """Tasks that ran or waited, on average of the last minute."""
    return first_number(root / "proc/loadavg")


def runnable_tasks(root: Path = Path("/")) -> int | None:
    """Tasks that run or wait at this moment, this one among them."""
    words = read_text(root / "proc/loadavg").split()
    return whole(words[3].partition("/")[0]) if len(words) > 3 else None


def cpu_pressure(root: Path = Path("/")) -> dict[str, float | None] | None:
    """Time in which some task waited for a processor.

    Source: Documentation/accounting/psi.rst of the Linux kernel.

    Returns:
        ``avg10``, percent of the last ten seconds, and ``total_us``, microseconds since boot;
        None where the kernel does not count it.
    """
    some = _SOME.search(read_text(root / "proc/pressure/cpu"))
    return some and {"avg10": number(some[1]), "total_us": whole(some[2])}


def processor_ticks(root: Path = Path("/")) -> dict[str, int] | None:
    """Ticks of all processors since boot: ``all`` of them, those that were ``busy``, and ``steal``.

    ``steal`` is time in which the host ran other virtual machines: proc_stat(5).
    """
    first = next(iter(read_text(root / "proc/stat").splitlines()), "").split()
    # What follows the eighth, time of guests, is in the first two already.
    ticks = [count for word in first[1:9] if (count := whole(word)) is not None]
    known = first[:1] == ["cpu"] and len(ticks) == 8
    if not known:
        return None
    user, nice, system, _, _, irq, softirq, steal = ticks
    busy = user + nice + system + irq + softirq
    return {"all": sum(ticks), "busy": busy, "steal": steal}


def own_ticks(_: Path = Path("/")) -> float:
    """Ticks that this process was busy, and those that it started and that have ended."""
    return sum(os.times()[:4]) * os.sysconf("SC_CLK_TCK")


def paging(root: Path = Path("/")) -> dict[str, int | None]:
    """Pages swapped in and out, and processes ended for want of memory, since boot."""
    told = counters(root / "proc/vmstat")
    return {
        "pages_swapped_in": told.get("pswpin"),
        "pages_swapped_out": told.get("pswpout"),
        "oom_kills": told.get("oom_kill"),
    }


def uptime(root: Path = Path("/")) -> float | None:
    """Seconds since boot."""
    return first_number(root / "proc/uptime")
