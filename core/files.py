"""Files that appear whole or not at all, and their digests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from edgeferry.errors import OutputError

_UMASK = Lock()


@contextmanager
def atomic_path(destination: Path) -> Iterator[Path]:
    """Give a temporary path beside a file; it takes the file's place when the block ends well.

    Raises:
        OutputError: If the folder cannot be written, or the file is a device or a pipe, which a
            file must not replace.
    """
    import tempfile

    if _is_special(destination):
        raise OutputError(f"cannot write {destination}: it is not a file; name one")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror}") from error
    temporary = Path(name)
    try:
        yield temporary
        with _UMASK:
            mask = _umask()
        temporary.chmod(0o666 & ~mask)
        temporary.replace(destination)
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(destination: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all; what is a device or a pipe is written to.

    Raises:
        OutputError: If it cannot be written.
    """
    if _is_special(destination):
        try:
            destination.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {destination}: {error.strerror or error}") from error
        return
    with atomic_path(destination) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket, such as ``/dev/null``."""
    return path.exists() and not path.is_file() and not path.is_dir()


@cache
def _umask() -> int:
    """The process's mask, read once: reading it means setting it for a moment."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
