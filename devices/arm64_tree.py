"""The system of an emulated 64-bit Arm board: Debian's Python and libraries, and QEMU."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeferry.devices import debian
from edgeferry.devices.cache import cache_folder, key_of, made_once

PACKAGES = ("python3", "libstdc++6", "libgomp1")
"""What the wheels of the engines need beyond themselves."""
QEMU = "qemu-aarch64-static"


@dataclass(frozen=True)
class Tree:
    """A system that programs of the emulated processor run in.

    Attributes:
        root: Its top folder.
        qemu: The program of this machine that runs its programs.
    """

    root: Path
    qemu: Path

    @property
    def python(self) -> str:
        """Version of its Python, e.g. ``3.11``."""
        return (self.root / "usr/bin/python3").readlink().name.removeprefix("python")


def arm64_tree(cache: Path | None = None) -> Tree:
    """The system, made at its first use within seconds and then kept.

    Args:
        cache: Where it is kept; None is the user's cache folder.

    Raises:
        DeviceError: If it cannot be made on this machine.
    """
    folder = cache or cache_folder() / "emulated"
    release = debian.release()
    root = made_once(folder / f"arm64-{key_of(release, *PACKAGES)}", _unpack_system)
    found = shutil.which(QEMU)
    if found is None:
        found = str(made_once(folder / f"qemu-{key_of(release)}", _unpack_qemu) / QEMU)
    return Tree(root, Path(found))


def _unpack_system(root: Path) -> None:
    debian.unpack_packages(PACKAGES, "arm64", root)
    if not (root / "lib").exists():  # releases with all in /usr get the link from another package
        (root / "lib").symlink_to("usr/lib")


def _unpack_qemu(folder: Path) -> None:
    """Keep one program of a package that holds them for every processor."""
    with tempfile.TemporaryDirectory(prefix="edgeferry-qemu-") as unpacked:
        debian.unpack_packages(["qemu-user-static"], debian.host_architecture(), Path(unpacked))
        shutil.copy2(Path(unpacked, "usr/bin", QEMU), folder / QEMU)
