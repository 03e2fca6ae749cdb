"""Reading what Linux tells of itself; where it tells nothing, nothing is wrong."""

from collections.abc import Iterator
from pathlib import Path


def read_text(path: Path) -> str:
    """A small file's text without its ends, empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that limit this process, and of all above them (versions 2 and 1).

    Args:
        root: Where ``sys`` and ``proc`` are found.
        controller: E.g. ``cpu`` or ``memory``.
    """
    mounts = {"": "sys/fs/cgroup", controller: f"sys/fs/cgroup/{controller}"}
    told = read_text(root / "proc/self/cgroup") or f"0::/\n0:{controller}:/"
    for line in told.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for each in controllers.split(","):
            if each in mounts:
                relative = Path(group.lstrip("/"))
                yield from (root / mounts[each] / part for part in _upward(relative))


def _upward(group: Path) -> list[Path]:
    return [group, *group.parents] if group.parts else [group]
