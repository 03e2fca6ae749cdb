"""Lines of a byte stream that comes in pieces of any size."""

import codecs
from collections.abc import Iterator

LONGEST = 1 << 24
"""Characters of a line; the rest of a longer one is dropped, so that memory has a bound."""


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
