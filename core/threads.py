"""How many threads are worth using."""

import math
import os
from collections.abc import Collection, Iterator
from pathlib import Path


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
    usable = _usable_cpus() if cpus is None else cpus
    cores = {_siblings(root, cpu) for cpu in usable}
    return max(1, min([len(cores), *_quotas(root)]))


def _usable_cpus() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _siblings(root: Path, cpu: int) -> str:
    """The logical processors on the core of this one; itself where the system does not tell."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _read(topology / "thread_siblings_list") or str(cpu)


def _quotas(root: Path) -> Iterator[int]:
    for folder in _control_groups(root):
        quota, period = _read(folder / "cpu.max").split() or ("max", "1")
        if quota == "max":
            quota = _read(folder / "cpu.cfs_quota_us") or "-1"
            period = _read(folder / "cpu.cfs_period_us") or "1"
        if int(quota) > 0:
            yield math.ceil(int(quota) / int(period))


def _control_groups(root: Path) -> Iterator[Path]:
    """Folders of the groups this process is in, and of all above them (versions 2 and 1)."""
    mounts = {"": "sys/fs/cgroup", "cpu": "sys/fs/cgroup/cpu"}
    for line in (_read(root / "proc/self/cgroup") or "0::/\n0:cpu:/").splitlines():
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                relative = Path(group.lstrip("/"))
                yield from (root / mounts[controller] / each for each in _upward(relative))


def _upward(group: Path) -> list[Path]:
    return [group, *group.parents] if group.parts else [group]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
