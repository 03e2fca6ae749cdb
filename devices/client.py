"""Who measures on a device: the agent in its Python, or TFLite's program where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from edgeferry.devices.agent_client import AgentClient
from edgeferry.devices.device import Device
from edgeferry.devices.job import Event, Job
from edgeferry.devices.phone_client import PhoneClient


class Client(Protocol):
    """What has jobs done on a device."""

    def close(self) -> None:
        """Give back what is held."""

    def prepare(self) -> object:
        """See that it can begin."""

    def facts(self) -> dict[str, Any]:
        """Facts of the device's machine."""

    def measure(self, job: Job, hear: Callable[[Event], None]) -> None:
        """Have a job done, hearing each event as it comes."""


def client_for(device: Device) -> Client:
    """The one that suits a device."""
    return AgentClient(device) if device.has_python else PhoneClient(device)
