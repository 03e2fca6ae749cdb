"""Archives that are safe to unpack, the same bytes for the same files, with a digest of themselves.

The digest is the comment that both kinds of archive have room for; see ``edgeferry.sealing``.
"""

from __future__ import annotations

import hashlib
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from edgeferry.app.archive_names import split_name
from edgeferry.closing import Closing
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_path
from edgeferry.sealing import UNSEALED, seal

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can tell."""
_EXECUTABLE = (".py",)
GZIP_HEADER = bytes.fromhex("1f8b 08 10 00000000 02 ff")
"""Of a gzip file with a comment, compressed best, without clock, from no system (RFC 1952)."""


def write_archive(
    destination: Path, files: Mapping[str, Path], digests: Mapping[str, str] | None = None
) -> None:
    """Write an archive that holds nothing but files below their names, without clock or owner.

    Args:
        destination: ``.tar.gz``, ``.tgz`` or ``.zip``; it appears whole or not at all.
        files: What goes in, by name below one folder.
        digests: SHA-256 that files have to have when they go in, by the same names.

    Raises:
        UsageError: If the suffix is none of these, or it cannot hold these files.
        OutputError: If it cannot be written, or a file was changed meanwhile.
    """
    check_archive(destination, files)
    write = _writer(destination)
    with atomic_path(destination) as temporary:
        sources = [_Source(name, files[name], (digests or {}).get(name)) for name in sorted(files)]
        write(temporary, sources)
        seal(temporary)


def check_archive(destination: Path, names: Iterable[str]) -> None:
    """See that a file's name tells a kind of archive, and that any kind can hold these names.

    Raises:
        UsageError: If it does not, or cannot.
    """
    _writer(destination)
    for name in names:
        try:
            split_name(name)
            tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT, "utf-8")
        except ValueError:
            raise UsageError(
                f"an archive cannot hold a file named {name!r:.120}",
                "Rename it: at most 100 characters, no colon, backslash or control character",
            ) from None


def _writer(destination: Path) -> Callable[[Path, Sequence[_Source]], None]:
    for suffix, write in _WRITERS.items():
        if destination.name.lower().endswith(suffix):
            return write
    raise UsageError(f"{destination} is no archive; known suffixes: {', '.join(_WRITERS)}")


def _write_tar(destination: Path, sources: Sequence[_Source]) -> None:
    with (
        destination.open("wb") as raw,
        _GzipWriter(raw) as packed,
        tarfile.open(
            fileobj=cast("BinaryIO", packed), mode="w|", format=tarfile.USTAR_FORMAT
        ) as archive,
    ):
        for source in sources:
            entry = tarfile.TarInfo(source.name)
            entry.size = source.path.stat().st_size
            entry.mode = source.mode
            with source.open() as content:
                archive.addfile(entry, cast("BinaryIO", content))


@dataclass(frozen=True)
class _Source:
    """A file that goes in, and the digest that it has to have by then."""

    name: str
    path: Path
    digest: str | None

    @property
    def mode(self) -> int:
        return 0o755 if self.name.endswith(_EXECUTABLE) else 0o644

    @contextmanager
    def open(self) -> Iterator[_Hashed]:
        with self.path.open("rb") as file:
            content = _Hashed(file)
            yield content
        if self.digest not in (None, content.sha256.hexdigest()):
            raise OutputError(f"{self.path} was changed while the archive was written")


class _Hashed:
    """A file, with the digest of what was read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


class _GzipWriter(Closing):
    """A gzip file whose comment is where the digest will stand."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._deflate = zlib.compressobj(zlib.Z_BEST_COMPRESSION, wbits=-zlib.MAX_WBITS)
        self._sum = self._size = 0
        raw.write(GZIP_HEADER + UNSEALED.encode() + b"\0")

    def write(self, data: bytes) -> int:
        """Take in some bytes."""
        self._sum = zlib.crc32(data, self._sum)
        self._size += len(data)
        self._raw.write(self._deflate.compress(data))
        return len(data)

    def close(self) -> None:
        """Write what ends the file."""
        ending = struct.pack("<LL", self._sum, self._size % 2**32)
        self._raw.write(self._deflate.flush() + ending)


def _write_zip(destination: Path, sources: Sequence[_Source]) -> None:
    try:
        with zipfile.ZipFile(destination, "w", allowZip64=False) as archive:
            archive.comment = UNSEALED.encode()
            for source in sources:
                _put_in(archive, source)
    except zipfile.LargeZipFile as error:
        raise UsageError(
            "a zip file holds 2 GiB in a file and 4 GiB in all: this is more",
            "Write a .tar.gz",
        ) from error


def _put_in(archive: zipfile.ZipFile, source: _Source) -> None:
    entry = zipfile.ZipInfo(source.name, _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whose modes are kept, on any system
    entry.external_attr = source.mode << 16
    entry.file_size = source.path.stat().st_size
    with source.open() as content, archive.open(entry, "w") as inside:
        while chunk := content.read(1 << 20):
            inside.write(chunk)


_WRITERS = {".tar.gz": _write_tar, ".tgz": _write_tar, ".zip": _write_zip}
