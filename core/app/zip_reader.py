"""The files in a ``.zip`` of any origin, in turn."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from edgeferry.app.reading_limits import CHUNK, MOST_FILES, MOST_KEPT, Allowance
from edgeferry.errors import ArtifactError

_END = struct.Struct("<4s4H2LH")
"""The record that ends a zip file, but for the comment behind it (APPNOTE 4.3.16)."""
_END_SIGNATURE, _LARGE_SIGNATURE, _LARGE_SIZE = b"PK\x05\x06", b"PK\x06\x07", 20
_LOCAL = struct.Struct("<4s5H3L2H")
"""The header before each file (4.3.7)."""
_DIGEST_SIZE = 64
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED, _SIZES_BEHIND, _UTF8 = 1, 8, 0x800
_EXTRA, _ELSEWHERE = struct.Struct("<2H"), (0x7075, 0x756E, 0x000D)
"""What begins an extra field, and those that hold another name or a link."""


def own_zip_digest(path: Path) -> str | None:
    """What stands where a digest of the file itself would; None where there is no room for it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size - _DIGEST_SIZE))
        tail = file.read()
    text = tail[-_DIGEST_SIZE:].decode("latin-1")
    ends = tail.startswith(_END_SIGNATURE) and len(tail) == _END.size + _DIGEST_SIZE
    return text if ends else None


def read_zip(path: Path, allowance: Allowance) -> Iterator[tuple[str, Iterable[bytes] | None]]:
    """Names and contents, None of a folder; each content is to be taken before the next file.

    Args:
        path: The archive.
        allowance: Bytes that it may unpack to.

    Raises:
        ArtifactError: If it holds anything but plain files and folders, or is cut off.
    """
    with path.open("rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            end = 0
            for entry in sorted(archive.infolist(), key=lambda each: each.header_offset):
                end = _end_of(entry, end, file)
                content = None if _is_folder(entry) else _unpacked(archive, entry, allowance)
                yield entry.orig_filename.removesuffix("/"), content
            if end != archive.start_dir:
                raise ArtifactError("it holds something beside its files")


def _check_directory(file: BinaryIO) -> None:
    """Refuse a directory that would fill the memory, before it is read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) < at + _END.size:
        raise ArtifactError("it is no zip file, or cut off")
    *_, directory, _, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise ArtifactError("something lies behind its end")
    if directory > MOST_KEPT or _LARGE_SIGNATURE in tail[max(0, at - _LARGE_SIZE) : at]:
        raise ArtifactError(f"it holds more than {MOST_FILES} files")


def _end_of(entry: zipfile.ZipInfo, start: int, file: BinaryIO) -> int:
    """Where a file in an archive ends, once both its headers are seen to tell the same.

    Some programs unpack by the header before each file, others by the directory.
    """
    if not _is_plain(entry):
        raise ArtifactError(f"{entry.filename!r:.80} in it is no plain file")
    file.seek(start)
    _, _, flags, method, _, _, *told, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    same_name = file.read(name) == _raw_name(entry) and not (flags ^ entry.flag_bits) & _UTF8
    known = [entry.CRC, entry.compress_size, entry.file_size]
    if entry.header_offset != start or told != known or not same_name:
        raise ArtifactError("it holds something beside its files")
    if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or method != entry.compress_type:
        raise ArtifactError(f"{entry.filename!r:.80} in it is compressed in an unusual way")
    if flags & _SIZES_BEHIND or _names_elsewhere(file.read(extra)):
        raise ArtifactError(f"{entry.filename!r:.80} in it has an unusual header")
    return start + _LOCAL.size + int(name) + int(extra) + entry.compress_size


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether it is a file or a folder, and the same to all programs."""
    mode, folder = entry.external_attr >> 16, _is_folder(entry)
    kind_fits = stat.S_IFMT(mode) in (0, stat.S_IFDIR if folder else stat.S_IFREG)
    empty = not entry.file_size and not entry.compress_size
    odd = entry.flag_bits & _ENCRYPTED or mode & 0o7000 or _names_elsewhere(entry.extra)
    return kind_fits and (empty or not folder) and not odd


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.orig_filename.endswith("/")


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")


def _names_elsewhere(extra: bytes) -> bool:
    """Whether extra fields (4.5) give a file another name or kind."""
    while len(extra) >= _EXTRA.size:
        kind, size = _EXTRA.unpack_from(extra)
        if kind in _ELSEWHERE:
            return True
        extra = extra[_EXTRA.size + size :]
    return False


def _unpacked(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: Allowance
) -> Iterator[bytes]:
    with archive.open(entry) as content:
        while chunk := content.read(CHUNK):
            yield allowance.spend(chunk)
