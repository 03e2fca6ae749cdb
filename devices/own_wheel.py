"""edgeferry's own wheel, made again from the package as it is installed here.

It is pure Python and small, so the same file is the agent that is sent to a device and what a
bundle installs. Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from edgeferry.files import atomic_path

ROOMS = ("", "app", "calibration", "devices", "exporters", "runtimes")
"""Sub-packages of ``edgeferry``; each may lie in a folder of its own, as in a checkout."""
_METADATA = ("METADATA", "entry_points.txt", "licenses/LICENSE")
_WHEEL = "Wheel-Version: 1.0\nGenerator: edgeferry\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can tell: the same wheel has the same bytes."""


def write_own_wheel(folder: Path) -> Path:
    """Write the wheel, the same bytes for the same modules.

    Args:
        folder: Where to.

    Returns:
        The file, named as wheels are.
    """
    version = _installed().version
    path = folder / f"edgeferry-{version}-py3-none-any.whl"
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in _contents(f"edgeferry-{version}.dist-info"):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on any system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


def _contents(metadata: str) -> Iterator[tuple[str, bytes]]:
    """Every file of the wheel by its name, in order; the record of them comes last."""
    entries = {**dict(_modules()), **dict(_metadata(metadata))}
    lines = []
    for name, content in sorted(entries.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
        yield name, content
    record = f"{metadata}/RECORD"
    yield record, "".join([*lines, f"{record},,\n"]).encode()


def _modules() -> Iterator[tuple[str, bytes]]:
    for room in ROOMS:
        package = f"edgeferry.{room}" if room else "edgeferry"
        yield from _below(files(package), package.replace(".", "/"))


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    """Files of a package and of its folders of data; rooms inside it come by themselves."""
    for entry in folder.iterdir():
        inside = f"{name}/{entry.name}"
        if entry.is_file() and not entry.name.startswith("."):
            yield inside, entry.read_bytes()
        elif entry.is_dir() and entry.name not in (*ROOMS, "__pycache__"):
            yield from _below(entry, inside)


def _metadata(folder: str) -> Iterator[tuple[str, bytes]]:
    for name in _METADATA:
        text = _installed().read_text(name)
        if text is not None:
            yield f"{folder}/{name}", text.encode()
    yield f"{folder}/WHEEL", _WHEEL.encode()


def _installed() -> Distribution:
    """What pip knows of edgeferry; a build folder's notes, which may lie about, are not that."""
    for found in Distribution.discover(name="edgeferry"):
        if found.read_text("METADATA"):
            return found
    raise PackageNotFoundError("edgeferry")
