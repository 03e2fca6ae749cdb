"""Streams between a process and its parent: answers out, and what libraries said aside."""

import os
from typing import IO


def private_stdout() -> IO[str]:
    """A stream to what standard output was; what libraries print goes to standard error now.

    Call it before an engine is loaded: native code writes to the file descriptor itself.
    """
    private = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return private


def printable(text: str) -> str:
    """A text whose control characters, which could disturb a terminal, are replaced."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def last_line(stream: IO[str]) -> str:
    """The last line of a seekable stream that is not blank: what a dead process said last."""
    stream.seek(0)
    lines = [line.strip() for line in stream if line.strip()]
    return lines[-1] if lines else ""
