"""Devices and profiles as plain data, for JSON."""

from dataclasses import asdict
from typing import Any

from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.profile import Profile


def settings_data(settings: DeviceSettings) -> dict[str, Any]:
    """What a device's owner says of it."""
    program = settings.benchmark_model
    return asdict(settings) | {"benchmark_model": str(program) if program else None}


def profile_data(profile: Profile) -> dict[str, Any]:
    """All that is known of a kind of device, with sources and pinned requirements."""
    return asdict(profile)


def profile_summary(profile: Profile) -> dict[str, Any]:
    """What there is to know first."""
    data = asdict(profile)
    for key in ("systems", "notes", "sources"):
        del data[key]
    return data | {"system": profile.system.name, "runtimes": list(profile.installable)}
