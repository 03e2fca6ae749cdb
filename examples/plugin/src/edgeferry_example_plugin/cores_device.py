"""Some cores of this machine as a device: ``cores://0`` or ``cores://0,2``. Linux only."""

import os
from collections.abc import Sequence
from typing import ClassVar

from edgeferry.devices.device import Command, DeviceSettings
from edgeferry.devices.local_device import LocalDevice
from edgeferry.errors import UsageError


class CoresDevice(LocalDevice):
    """Runs commands on this machine, held to some of its cores, as on a smaller one.

    Args:
        settings: Its address names the cores.
    """

    transport: ClassVar[str] = "cores"

    def __init__(self, settings: DeviceSettings) -> None:
        self._cores = _cores(settings.address)
        super().__init__(settings)

    def _arguments(self, command: Command) -> Sequence[str]:
        cores = ",".join(map(str, sorted(self._cores)))
        return ["taskset", "--cpu-list", cores, *command.arguments]


def _cores(address: str) -> set[int]:
    _, _, text = address.partition("://")
    usable = os.sched_getaffinity(0)
    named = {int(part) for part in text.split(",") if part.isdecimal()}
    if len(named) < len(text.split(",")) or not named <= usable:
        known = ", ".join(map(str, sorted(usable)))
        raise UsageError(f"{address!r} names no cores to use", f"Usable ones, by comma: {known}")
    return named
