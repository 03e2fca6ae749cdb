"""A device that prints what it is told to, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import ClassVar

from edgeferry.devices.device import Command, Completed, DeviceSettings, Listener
from edgeferry.devices.fake_device import FakeDevice
from edgeferry.devices.lines import Heard, lines_of


class ScriptedDevice(FakeDevice):
    """What it prints, by a word of the command.

    Args:
        folder: Where its files go.
        printed: What each command prints; the first word that it holds counts.
        phone: A program of TFLite's, for a device without Python.
    """

    transport: ClassVar[str] = "local"  # this Python has edgeferry: no wheel is sent

    def __init__(
        self, folder: Path, printed: Mapping[str, bytes], phone: Path | None = None
    ) -> None:
        super().__init__(DeviceSettings("pi", folder=str(folder), benchmark_model=phone))
        self._printed = printed
        self._is_phone = phone is not None

    @property
    def has_python(self) -> bool:
        return not self._is_phone

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        text = " ".join(command.arguments)
        said = next((each for word, each in self._printed.items() if word in text), b"")
        heard = Heard()
        for line in lines_of(_pieces(said)):
            (listen or heard.append)(line)
        return Completed(said[:1] == b"!", heard.text())


def _pieces(data: bytes) -> Iterator[bytes]:
    """Of a size that cuts characters and lines."""
    size = Random(len(data)).choice((1, 3, 1000, 65536)) if len(data) < 50_000 else 65536
    for at in range(0, len(data), size):
        yield data[at : at + size]
