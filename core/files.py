"""Files that appear whole or not at all, and their digests."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from edgeferry.errors import OutputError
from edgeferry.threads import lock_for_forks

_UMASK = lock_for_forks()
_UNFINISHED = ".unfinished"
"""Suffix of files that are not whole yet."""
_SYNCED = os.O_RDWR if os.name == "nt" else os.O_RDONLY
"""How a file is opened that is put on the disk; Windows asks for leave to write."""


@contextmanager
def atomic_path(destination: Path) -> Iterator[Path]:
    """Give a temporary path beside a file; it takes the file's place when the block ends well.

    What was written is on the disk by then: no power cut leaves an empty file of that name. A link
    stays one: the file that it leads to is replaced.

    Raises:
        OutputError: If the folder cannot be written, or the file is a device or a pipe, which a
            file must not replace.
    """
    import tempfile

    if _is_special(destination):
        raise OutputError(f"cannot write {destination}: it is not a file; name one")
    target = _target(destination)
    try:
        handle, name = tempfile.mkstemp(_UNFINISHED, f".{target.name}.", target.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror}") from error
    temporary = Path(name)
    try:
        yield temporary
        with _UMASK:
            mask = _umask()
        temporary.chmod(0o666 & ~mask)
        flush_to_disk(temporary)
        temporary.replace(target)
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
        _write_into(destination, text)
        return
    with atomic_path(destination) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _write_into(destination: Path, text: str) -> None:
    """Write to what must not be replaced by a file, such as ``/dev/null``."""
    try:
        destination.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror or error}") from error


def flush_to_disk(path: Path) -> None:
    """Wait until a file is on the disk, and not in memory alone."""
    descriptor = os.open(path, _SYNCED)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can do that."""
    with suppress(OSError):
        flush_to_disk(path)


def drop_unfinished(destination: Path) -> None:
    """Remove what ``atomic_path`` left beside a file when its process was killed.

    To be called only where no other process may be writing that file.
    """
    target = _target(destination)
    mine = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}{re.escape(_UNFINISHED)}")
    for left in target.parent.glob(f"*{_UNFINISHED}"):  # also of `x.json`, which is not `x`
        if mine.fullmatch(left.name):
            with suppress(OSError):
                left.unlink()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(path: Path) -> Path:
    """Where a path leads to."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket, such as ``/dev/null``."""
    return path.exists() and not path.is_file() and not path.is_dir()


@cache
def _umask() -> int:
    """The process's mask, read once: reading it means setting it for a moment."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
