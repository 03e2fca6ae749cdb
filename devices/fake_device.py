"""A device for tests, which fails on command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.lines import Heard
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.space import no_space
from edgeferry.errors import DeviceLostError


class FakeDevice(LocalDevice):
    """Processes of this machine in a folder of their own, which files are sent to.

    It does what a device far away does, without a network, and can be lost or full. Give it to
    what is tested in place of a real one.

    Args:
        settings: Its folder is a temporary one, unless one is named.
        lose_after_lines: The device is lost, for good, once a command has printed so many
            lines: the listener gets them, then ``run`` raises and the command's processes are
            ended. 0 loses it before the first command starts.
        space: Bytes that its folder can hold; what would take more is refused, as by a full
            disk. A file that is replaced is there until the new one is whole.
    """

    transport: ClassVar[str] = "fake"
    place = Device.place

    def __init__(
        self,
        settings: DeviceSettings,
        lose_after_lines: int | None = None,
        space: int | None = None,
    ) -> None:
        super().__init__(settings)
        self._lines_left = lose_after_lines
        self._space = space

    def digest(self, name: str) -> str | None:
        self._check_there()
        return super().digest(name)

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        heard = Heard()
        lines_left = self._lines_left

        def counted(line: str) -> None:
            nonlocal lines_left
            (listen or heard.append)(line)
            if lines_left is not None:
                lines_left -= 1
                if lines_left == 0:
                    self._lines_left = 0
                    self._check_there()

        self._check_there()
        completed = super()._run(command, counted)
        return replace(completed, stdout=heard.text())

    def _push(self, source: Path, name: str) -> None:
        self._check_there()
        if self._space is not None:
            held = (file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
            needed, free = source.stat().st_size, self._space - sum(held)
            if needed > free:
                raise no_space(name, self.name, needed, max(0, free))
        super()._push(source, name)

    def _pull(self, name: str, destination: Path) -> None:
        self._check_there()
        super()._pull(name, destination)

    def _check_there(self) -> None:
        if self._lines_left == 0:
            raise DeviceLostError(f"{self.name} was lost")
