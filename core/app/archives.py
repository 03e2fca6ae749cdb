"""Archives that are safe to unpack and the same bytes for the same files."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from edgeferry.errors import UsageError
from edgeferry.files import atomic_path

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can tell."""
_EXECUTABLE = (".py",)


def write_archive(destination: Path, files: Mapping[str, Path]) -> None:
    """Write an archive that holds nothing but files below their names, without clock or owner.

    Args:
        destination: ``.tar.gz``, ``.tgz`` or ``.zip``; it appears whole or not at all.
        files: What goes in, by relative name.

    Raises:
        UsageError: If the suffix is none of these.
        OutputError: If it cannot be written.
    """
    write = _writer(destination)
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name} does not lie inside the archive")
    with atomic_path(destination) as temporary:
        write(temporary, dict(sorted(files.items())))


def check_archive_name(destination: Path) -> None:
    """See that a file's name tells a kind of archive.

    Raises:
        UsageError: If it does not.
    """
    _writer(destination)


def _writer(destination: Path) -> Callable[[Path, Mapping[str, Path]], None]:
    for suffix, write in _WRITERS.items():
        if destination.name.lower().endswith(suffix):
            return write
    raise UsageError(f"{destination} is no archive; known suffixes: {', '.join(_WRITERS)}")


def _write_tar(destination: Path, files: Mapping[str, Path]) -> None:
    with (
        destination.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, path in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = _mode(name)
            with path.open("rb") as content:
                archive.addfile(entry, content)


def _write_zip(destination: Path, files: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(destination, "w") as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose modes are kept, on any system
            entry.external_attr = _mode(name) << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as content, archive.open(entry, "w") as inside:
                while chunk := content.read(1 << 20):
                    inside.write(chunk)


def _mode(name: str) -> int:
    return 0o755 if name.endswith(_EXECUTABLE) else 0o644


_WRITERS = {".tar.gz": _write_tar, ".tgz": _write_tar, ".zip": _write_zip}
