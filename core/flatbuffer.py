"""A reader for FlatBuffers, as much of it as finding a few fields in a file needs.

Every access is bounds-checked, so a damaged file gives an ``ArtifactError`` and nothing else.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Self

from edgeferry.errors import ArtifactError

_MOST_TABLES = 100_000
"""In one vector: no model comes near, and walking millions would take minutes."""
_FORMATS = {"u8": "<B", "u16": "<H", "i32": "<i", "u32": "<I", "u64": "<Q"}


def read_scalar(data: bytes | mmap, position: int, kind: str) -> int:
    """One little-endian number of a kind in ``u8 u16 i32 u32 u64``.

    Raises:
        ArtifactError: If it lies outside the data.
    """
    form = _FORMATS[kind]
    if not 0 <= position <= len(data) - struct.calcsize(form):
        raise ArtifactError(f"offset {position} lies outside its {len(data)} bytes")
    return int(struct.unpack_from(form, data, position)[0])


def read_bytes(data: bytes | mmap, position: int, size: int) -> bytes:
    """A run of bytes.

    Raises:
        ArtifactError: If it lies outside the data.
    """
    check_range(data, position, size)
    return bytes(data[position : position + size])


def check_range(data: bytes | mmap, position: int, size: int) -> None:
    """Raise an ``ArtifactError`` for a range that does not lie within the data."""
    if position < 0 or size < 0 or position + size > len(data):
        raise ArtifactError(f"{size} bytes at {position} lie outside its {len(data)} bytes")


@dataclass(frozen=True)
class Table:
    """One FlatBuffers table; fields are given by their number in the schema.

    Attributes:
        data: The whole file.
        position: Where the table starts.
    """

    data: bytes | mmap
    position: int

    @classmethod
    def root(cls, data: bytes | mmap) -> Self:
        """The root table of a file."""
        return cls(data, read_scalar(data, 0, "u32"))

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
        """A number stored in the table itself; the default where it is left out."""
        at = self._field(field)
        return default if at is None else read_scalar(self.data, at, kind)

    def vector(self, field: int) -> tuple[int, int]:
        """Position of a vector's first element, and its length; (0, 0) where left out."""
        at = self._field(field)
        if at is None:
            return 0, 0
        start = at + read_scalar(self.data, at, "u32")
        return start + 4, read_scalar(self.data, start, "u32")

    def tables(self, field: int) -> Iterator["Table"]:
        """The tables of a vector of tables."""
        start, length = self.vector(field)
        if length > _MOST_TABLES:
            raise ArtifactError(f"it has a vector of {length} tables")
        check_range(self.data, start, 4 * length)
        for at in range(start, start + 4 * length, 4):
            yield Table(self.data, at + read_scalar(self.data, at, "u32"))

    def holds(self, field: int, content: bytes) -> bool:
        """Whether a string or a vector of bytes is this one; a longer one is not read."""
        start, length = self.vector(field)
        return length == len(content) and read_bytes(self.data, start, length) == content

    def _field(self, field: int) -> int | None:
        vtable = self.position - read_scalar(self.data, self.position, "i32")
        slot = 4 + 2 * field
        if slot + 2 > read_scalar(self.data, vtable, "u16"):
            return None
        offset = read_scalar(self.data, vtable + slot, "u16")
        return self.position + offset if offset else None
