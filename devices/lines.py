"""Lines of a byte stream that comes in pieces of any size."""

import codecs
import os
from collections.abc import Iterable, Iterator
from typing import IO

LONGEST = 1 << 24
"""Characters of a line; the rest of a longer one is dropped, so that memory has a bound."""


_CHUNK = 1 << 16
MOST = 1 << 23
"""Characters of a command's output that are kept where nobody listens."""


class Heard:
    """Lines that were printed; beyond a bound they are dropped, so that memory has one."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._left = MOST

    def append(self, line: str) -> None:
        """Take a line, if there is room."""
        if len(line) < self._left:
            self._lines.append(line)
            self._left -= len(line) + 1

    def text(self) -> str:
        """All of them, each with its end."""
        return "".join(f"{line}\n" for line in self._lines)


class LineReader:
    """Cuts a stream into lines; bytes that are no UTF-8 become replacement characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes, final: bool = False) -> Iterator[str]:
        """Give every line that is whole now.

        Args:
            data: The next piece.
            final: Whether it is the last: what is left counts as a line too.
        """
        *lines, rest = (self._rest + self._decoder.decode(data, final)).split("\n")
        self._rest = rest[:LONGEST]
        for line in lines:
            yield line[:LONGEST].removesuffix("\r")
        if final and self._rest:
            yield self._rest
            self._rest = ""


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of a stream that comes in pieces, each as soon as it is there."""
    reader = LineReader()
    for data in chunks:
        yield from reader.feed(data)
    yield from reader.feed(b"", final=True)


def chunks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """What a pipe holds, as soon as it is there."""
    while data := os.read(stream.fileno(), _CHUNK):
        yield data


def end_of(stream: IO[bytes]) -> str:
    """The last part of a file as text: complaints end with what matters."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _CHUNK))
    return stream.read().decode(errors="replace")
