"""Whether a device can be measured on, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from edgeferry.app.device_data import settings_data
from edgeferry.app.results import results_document
from edgeferry.devices.agent_client import setup_hint
from edgeferry.devices.client import client_for
from edgeferry.devices.conditions import marks
from edgeferry.devices.device import Device, DeviceSettings
from edgeferry.devices.profile import Profile, profile_named
from edgeferry.devices.registry import open_device

_NEEDED = ("numpy", "pillow")
_ENGINES = {
    "litert": "ai-edge-litert",
    "tflite-runtime": "tflite-runtime",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
"""Engines of devices, with the packages that bring them."""


@dataclass(frozen=True)
class DeviceCheck:
    """What was found on a device.

    Attributes:
        settings: How it was reached.
        facts: Of its machine.
        engines: Version of each engine that its Python has; None where it lacks it.
        problems: What stands in the way of measuring on it.
        notes: What is worth knowing before.
    """

    settings: DeviceSettings
    facts: Mapping[str, Any]
    engines: Mapping[str, str | None]
    problems: list[str]
    notes: list[str]

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        found = {
            "device": settings_data(self.settings),
            "facts": dict(self.facts),
            "engines": dict(self.engines),
            "problems": self.problems,
            "notes": self.notes,
        }
        return results_document("devices check", [], found)


def check_device(settings: DeviceSettings) -> DeviceCheck:
    """Reach a device and look around.

    Raises:
        DeviceError: If it cannot be reached, or has nothing that can measure.
    """
    with open_device(settings) as device, closing(client_for(device)) as client:
        client.prepare()
        facts = client.facts()
        packages = facts.get("packages") or {}
        engines = {name: packages.get(package) for name, package in _ENGINES.items()}
        profile = profile_named(settings.profile) if settings.profile else None
        return DeviceCheck(
            settings,
            facts,
            engines,
            list(_problems(device, packages, engines)),
            [*_unlike(profile, facts), *(mark.text for mark in marks(facts, facts, ()))],
        )


def _problems(
    device: Device, packages: Mapping[str, Any], engines: Mapping[str, str | None]
) -> Iterator[str]:
    if not device.has_python or device.emulated:
        return
    missing = [package for package in _NEEDED if not packages.get(package)]
    missing += [] if any(engines.values()) else ["engine"]
    if missing:
        yield f"{device.python} there has no {', no '.join(missing)}\n{setup_hint(device)}"


def _unlike(profile: Profile | None, facts: Mapping[str, Any]) -> Iterator[str]:
    """Where a machine is not what its profile says."""
    if profile is None:
        return
    told = {"architecture": profile.architecture, "physical_cores": profile.cores}
    for name, expected in told.items():
        found = facts.get(name)
        if None not in (found, expected) and found != expected:
            yield f"its profile {profile.name} says {name} {expected}; it has {found}"
