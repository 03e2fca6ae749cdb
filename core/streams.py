"""Standard output kept for the answers of a process that others talk to."""

import os
from typing import IO


def private_stdout() -> IO[str]:
    """A stream to what standard output was; what libraries print goes to standard error now.

    Call it before an engine is loaded: native code writes to the file descriptor itself.
    """
    private = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return private
