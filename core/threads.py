"""How many threads are worth using, and what one that forks finds of the others."""

import math
import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock

from edgeferry.system import control_groups, read_text


def physical_cores(root: Path = Path("/"), cpus: Collection[int] | None = None) -> int:
    """Count the physical cores that this process may use.

    Two hyper-threads of one core count once; cores outside the process's affinity mask do
    not count; a container's processor quota is a limit, rounded up.

    Args:
        root: Where ``sys`` and ``proc`` are found.
        cpus: Logical processors the process may use; None asks the system.

    Returns:
        At least 1.
    """
    usable = usable_cpus() if cpus is None else cpus
    cores = {_siblings(root, cpu) for cpu in usable}
    return max(1, min([len(cores), *_quotas(root)]))


def usable_cpus() -> Collection[int]:
    """The logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def lock_for_forks() -> AbstractContextManager[bool]:
    """A lock that is free in each child made by fork, whatever other threads were doing."""
    lock = RLock()
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock


def _siblings(root: Path, cpu: int) -> str:
    """The logical processors on the core of this one; itself where the system does not tell."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return read_text(topology / "thread_siblings_list") or str(cpu)


def _quotas(root: Path) -> Iterator[int]:
    for folder in control_groups(root, "cpu"):
        quota, _, period = read_text(folder / "cpu.max").partition(" ")
        if quota in ("", "max"):
            quota = read_text(folder / "cpu.cfs_quota_us")
            period = read_text(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield math.ceil(int(quota) / int(period))
