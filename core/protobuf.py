"""A reader for the protobuf wire format, as much of it as finding a few fields needs.

It walks one level of a message and seeks over what is not asked for, so the size of a file
does not matter; a damaged file gives an ``ArtifactError`` and nothing else.
"""

import io
from collections.abc import Collection, Iterator
from typing import BinaryIO

from edgeferry.errors import ArtifactError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}


def read_fields(
    stream: BinaryIO, size: int, wanted: Collection[int]
) -> Iterator[tuple[int, int | bytes]]:
    """Walk the fields of the message that fills a seekable stream.

    Args:
        stream: Stands at the message's first byte.
        size: Length of the message in bytes.
        wanted: Numbers of the fields whose bytes are read; of others the size is given.

    Yields:
        Number and value of each field: its bytes or number where wanted; for fields of bytes
        that are not wanted, their length.

    Raises:
        ArtifactError: If the bytes are no such message, or it is cut off.
    """
    end = stream.tell() + size
    while stream.tell() < end:
        key = _varint(stream)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            yield number, _varint(stream)
            continue
        length = _SIZES[wire] if wire in _SIZES else _varint(stream) if wire == _BYTES else -1
        if number == 0 or not 0 <= length <= end - stream.tell():
            raise ArtifactError(f"field {number} at byte {stream.tell()} is damaged or cut off")
        if number in wanted:
            yield number, stream.read(length)
        else:
            stream.seek(length, io.SEEK_CUR)
            yield number, length


def read_message(data: bytes) -> dict[int, int | bytes]:
    """The fields of a small message by number; of a repeated field the last."""
    return dict(read_fields(io.BytesIO(data), len(data), range(1, 1 << 29)))


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise ArtifactError("it ends in the middle of a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ArtifactError("it holds a number of more than 64 bits")
