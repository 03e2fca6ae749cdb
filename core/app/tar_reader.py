"""The files in a ``.tar.gz`` of any origin, in turn."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeferry.app.archives import GZIP_HEADER
from edgeferry.app.reading_limits import CHUNK, MOST_FILES, Allowance
from edgeferry.errors import ArtifactError
from edgeferry.sealing import is_digest

_BLOCK = 512
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
_MAGIC, _PREFIX = slice(257, 263), slice(345, 500)
"""Of a header: the prefix is a part of the name only where the magic is that of POSIX."""
_FLAGS, _COMMENT = 3, 16
"""Where a gzip file tells what its header holds, and that this is a comment (RFC 1952)."""
_DIGEST = slice(len(GZIP_HEADER), len(GZIP_HEADER) + 64)


def own_tar_digest(path: Path) -> str | None:
    """What stands where a digest of the file itself would; None where there is no room for it."""
    with path.open("rb") as file:
        head = file.read(_DIGEST.stop)
    text = head[_DIGEST].decode("latin-1")
    commented = len(head) == _DIGEST.stop and head[_FLAGS] & _COMMENT
    return text if commented or is_digest(text) else None


def read_tar(path: Path, allowance: Allowance) -> Iterator[tuple[str, Iterable[bytes] | None]]:
    """Names and contents, None of a folder; each content is to be taken before the next file.

    Args:
        path: The archive.
        allowance: Bytes that it may unpack to.

    Raises:
        ArtifactError: If it holds anything but plain files and folders, or is cut off.
    """
    stream = _Stream(_unpacked(path, allowance))
    entries = 0
    while (block := stream.exactly(_BLOCK)) != bytes(_BLOCK):
        entries += 1
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if not _is_plain(entry, block):
            raise ArtifactError(f"{entry.name!r:.80} in it is no plain file")
        if entries > 2 * MOST_FILES:
            raise ArtifactError(f"it holds more than {MOST_FILES} files")
        if entry.isreg():
            yield entry.name, stream.up_to(entry.size)
            stream.exactly(-entry.size % _BLOCK)
        else:
            yield entry.name, None
    if any(rest.count(0) < len(rest) for rest in stream.rest()):
        raise ArtifactError("something lies behind its end")


def _is_plain(entry: tarfile.TarInfo, block: bytes) -> bool:
    """Whether every program unpacks the same from it: a file, or a folder."""
    plain_name = block[_MAGIC] == tarfile.POSIX_MAGIC[:6] or not any(block[_PREFIX])
    size_fits = entry.size == 0 if entry.isdir() else entry.size >= 0
    return entry.type in _PLAIN and plain_name and size_fits and not entry.mode & 0o7000


class _Stream:
    """Chunks, taken in pieces of other sizes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held, self._at = b"", 0

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        yield self._held[self._at :]
        yield from self._chunks

    def up_to(self, size: int) -> Iterator[bytes]:
        """Just so many bytes, in pieces."""
        while size:
            if self._at == len(self._held):
                self._held, self._at = next(self._chunks, b""), 0
            piece = self._held[self._at : self._at + size]
            if not piece:
                raise ArtifactError("it is cut off")
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        """Just so many bytes, at once."""
        return b"".join(self.up_to(size))


def _unpacked(path: Path, allowance: Allowance) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    with path.open("rb") as file:
        while not unpacker.eof:
            data = unpacker.unconsumed_tail or file.read(CHUNK)
            if not data:
                raise ArtifactError("it is cut off")
            if chunk := unpacker.decompress(data, CHUNK):
                yield allowance.spend(chunk)
        if unpacker.unused_data or file.read(1):
            raise ArtifactError("something lies behind its end")
