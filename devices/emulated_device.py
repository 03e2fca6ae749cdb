"""A 64-bit Arm board emulated on this machine, to prove that programs run on its processor."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from edgeferry.devices.arm64_tree import Tree, arm64_tree
from edgeferry.devices.cache import cache_folder, key_of, made_once
from edgeferry.devices.debian import SOURCES
from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.fake_board import MIDRS, write_board
from edgeferry.devices.local_device import LocalDevice
from edgeferry.devices.profile import Profile, profile_named
from edgeferry.devices.wheels import WheelTarget, fetch_wheels, install_wheels
from edgeferry.errors import DeviceError, UsageError
from edgeferry.threads import usable_cpus

_OWN = {"PYTHONNOUSERSITE": "1", "PYTHONHOME": "", "LD_PRELOAD": "", "LD_LIBRARY_PATH": ""}
"""Keeps out what is set for programs of this machine."""


class EmulatedDevice(LocalDevice):
    """Runs Python on a board's processor as QEMU emulates it, on Debian's libraries.

    An ordinary user may do this. A program on it sees the board's instruction set, name and
    clocks; memory, kernel, network and files are this machine's, and so are the programs that
    it would start. Its latencies say nothing of the board's.

    Args:
        settings: Its address names the profile of the board, e.g. ``emulated://raspberry-pi-4``.
    """

    transport: ClassVar[str] = "emulated"
    emulated: ClassVar[bool] = True
    starts_children: ClassVar[bool] = False
    usual_python: ClassVar[str] = "python3"

    def __init__(self, settings: DeviceSettings) -> None:
        super().__init__(settings)
        self._site: Path | None = None
        self._board = tempfile.TemporaryDirectory(prefix="edgeferry-board-")

    def place(self, files: Sequence[Path]) -> list[str]:
        """Copy them, as to any device that is not this machine."""
        return Device.place(self, files)

    def install(self, requirements: Sequence[str]) -> None:
        """Make packages importable for every command after this; fetched once and kept.

        Args:
            requirements: Pinned, with everything they need; they replace earlier ones.

        Raises:
            DeviceError: If one has no wheel for the board, or the network is not there.
            MissingDependencyError: If this Python has no pip.
        """
        target = WheelTarget(self._tree.python, self._profile.system.platforms)

        def fill(folder: Path) -> None:
            with tempfile.TemporaryDirectory(prefix="edgeferry-wheels-") as scratch:
                wheels = fetch_wheels(requirements, target, Path(scratch))
                install_wheels(wheels, target, folder / "site")

        key = key_of(target.python, *target.platforms, *sorted(requirements))
        self._site = made_once(cache_folder() / "emulated" / f"wheels-{key}", fill) / "site"

    def close(self) -> None:
        super().close()
        self._board.cleanup()

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        given = command.environment.get("PYTHONPATH", "")
        paths = ":".join(path for path in (given, str(self._site or "")) if path)
        environment = {**_OWN, **command.environment, "PYTHONPATH": paths}
        return super()._run(replace(command, environment=environment), listen)

    def _arguments(self, command: Command) -> Sequence[str]:
        program, *arguments = command.arguments
        if program != self.python:
            raise DeviceError(
                f"{self.name} is emulated and cannot run {program!r}",
                f"It runs Python alone, as {self.python!r}",
            )
        cpu, root = self._cpu, self._root
        qemu = [str(self._tree.qemu), "-cpu", cpu, "-L", str(root)]
        return [*qemu, str(root / "usr/bin/python3"), *arguments]

    @cached_property
    def _profile(self) -> Profile:
        _, _, named = self.settings.address.partition("://")
        return profile_named(named or self.settings.profile or "")

    @cached_property
    def _cpu(self) -> str:
        """QEMU's name of its processor."""
        cpu = self._profile.emulated_cpu
        if cpu not in MIDRS:
            raise UsageError(f"{self._profile.name} cannot be emulated", "raspberry-pi-4 can")
        return cpu

    @cached_property
    def _tree(self) -> Tree:
        tree = arm64_tree()
        if tree.python != self._profile.system.python:
            raise DeviceError(
                f"the packages of this machine's release bring Python {tree.python}; "
                f"{self._profile.name} has {self._profile.system.python}",
                f"{SOURCES} can name a list of apt sources of {self._profile.system.title}",
            )
        return tree

    @cached_property
    def _root(self) -> Path:
        """The system as a program sees it: the shared one, and what tells of this board."""
        root = Path(self._board.name)
        for entry in self._tree.root.iterdir():
            (root / entry.name).symlink_to(entry)
        write_board(root, self._profile, MIDRS[self._cpu], max(usable_cpus()) + 1)
        return root
