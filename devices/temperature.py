"""Temperatures as the kernel's thermal zones tell them.

Source: Documentation/driver-api/thermal/sysfs-api.rst of the Linux kernel; millidegrees Celsius.
"""

import re
from pathlib import Path

from edgeferry.devices.sysfiles import read_number
from edgeferry.system import read_text

_PROCESSOR = re.compile("cpu|core|soc|pkg|package", re.IGNORECASE)
_PLAUSIBLE = (-40, 200)
"""Degrees; drivers give others for a zone that is off."""
_SLOWING = ("passive", "hot", "critical")
"""Kinds of trip points that slow or stop the machine; ``active`` ones start a fan."""


def temperatures(root: Path = Path("/")) -> dict[str, float] | None:
    """Degrees Celsius of every zone, by its number and type; None where there is none."""
    zones = {zone: celsius(zone) for zone in _zones(root)}
    return {_name(zone): value for zone, value in zones.items() if value is not None} or None


def hottest(root: Path = Path("/")) -> float | None:
    """Degrees Celsius of the processor's hottest zone."""
    values = [value for zone in processor_zones(root) if (value := celsius(zone)) is not None]
    return max(values, default=None)


def trip_point(root: Path = Path("/")) -> float | None:
    """Degrees Celsius from which the kernel slows the processor, or stops the machine."""
    points = [point for zone in processor_zones(root) for point in _trip_points(zone)]
    return min(points, default=None)


def processor_zones(root: Path = Path("/")) -> list[Path]:
    """Folders of the zones of the processor; of all zones where none is said to be its."""
    zones = _zones(root)
    return [zone for zone in zones if _PROCESSOR.search(read_text(zone / "type"))] or zones


def celsius(zone: Path) -> float | None:
    """A zone's temperature, in degrees Celsius."""
    return _degrees(zone / "temp")


def _zones(root: Path) -> list[Path]:
    return sorted(root.glob("sys/class/thermal/thermal_zone*"))


def _name(zone: Path) -> str:
    kind = read_text(zone / "type") or "unnamed"
    return f"{zone.name.removeprefix('thermal_zone')}:{kind}"


def _trip_points(zone: Path) -> list[float]:
    kinds = [path for path in zone.glob("trip_point_*_type") if read_text(path) in _SLOWING]
    found = [_degrees(path.with_name(f"{path.name.removesuffix('type')}temp")) for path in kinds]
    # One that the user has not set is 0 or below.
    return [degrees for degrees in found if degrees is not None and degrees > 0]


def _degrees(path: Path) -> float | None:
    value = read_number(path)
    low, high = _PLAUSIBLE
    return value / 1000 if value is not None and low <= value / 1000 <= high else None
