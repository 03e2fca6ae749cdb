"""A reader for the protobuf wire format, as much of it as finding a few fields needs.

It walks one level of a message and seeks over the bytes in it, so the size of a file does not
matter; a damaged file gives an ``ArtifactError`` and nothing else.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from edgeferry.errors import ArtifactError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_FIELDS = 100_000
"""Of all that is walked in a file: no model comes near, and walking millions would take minutes."""


class Span(NamedTuple):
    """Bytes in a file, which may be a message.

    Attributes:
        start: Where they begin.
        length: How many they are.
    """

    start: int
    length: int

    def read(self, stream: BinaryIO) -> bytes:
        """The bytes themselves."""
        stream.seek(self.start)
        return stream.read(self.length)


def read_fields(
    stream: BinaryIO, message: Span, counted: Iterator[int]
) -> Iterator[tuple[int, int | Span]]:
    """Walk the fields of a message; the stream may be used meanwhile.

    Args:
        stream: A seekable file.
        message: Where in it the message is.
        counted: Counts the fields from 1; the same for all messages of a file.

    Yields:
        Number and value of each field: a number, or where its bytes are.

    Raises:
        ArtifactError: If the bytes are no such message, it is cut off, or there are too many.
    """
    at, end = message.start, message.start + message.length
    while at < end:
        if next(counted) > _MOST_FIELDS:
            raise ArtifactError(f"it has more than {_MOST_FIELDS} fields")
        stream.seek(at)
        number, value = _field(stream)
        at = stream.tell() if isinstance(value, int) else sum(value)
        if number == 0 or at > end:
            raise ArtifactError(f"field {number} before byte {at} is damaged or cut off")
        yield number, value


def _field(stream: BinaryIO) -> tuple[int, int | Span]:
    key = _varint(stream)
    number, wire = key >> 3, key & 7
    if wire == _VARINT:
        return number, _varint(stream)
    if wire not in (_BYTES, *_SIZES):
        raise ArtifactError(f"field {number} at byte {stream.tell()} is damaged")
    length = _SIZES[wire] if wire in _SIZES else _varint(stream)
    return number, Span(stream.tell(), length)


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
