"""Digests that stand in the very file they are of.

Such a digest is SHA-256 over the whole file with its own 64 characters taken as zeros. Files are
read in chunks, so that their size does not matter; they are not mapped into memory, where one
that is cut off meanwhile would end the process.
"""

import re
from collections.abc import Iterator
from pathlib import Path

UNSEALED = "5ea1" + "0" * 60
"""What is written where the digest will stand."""
_LENGTH = 64
_ZEROS = b"0" * _LENGTH
_CHUNK = 1 << 20
_DIGEST = re.compile(f"[0-9a-f]{{{_LENGTH}}}")


def is_digest(text: object) -> bool:
    """Whether something is a SHA-256 as edgeferry writes them."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def sealed_digest(path: Path, own: str) -> str:
    """SHA-256 of a file with its own digest taken as zeros, hexadecimal.

    Args:
        path: The file.
        own: What stands there: a digest, or ``UNSEALED``.
    """
    import hashlib

    digest = hashlib.sha256()
    for _, piece, places in _pieces(path, own.encode()):
        for place in places:
            piece[place : place + _LENGTH] = _ZEROS
        digest.update(piece)
    return digest.hexdigest()


def put_in(path: Path, mark: str, text: str) -> bool:
    """Write a digest over each occurrence of what stands for it.

    Returns:
        Whether there was one.
    """
    found = [at + place for at, _, places in _pieces(path, mark.encode()) for place in places]
    with path.open("r+b") as file:
        for place in found:
            file.seek(place)
            file.write(text.encode())
    return bool(found)


def seal(path: Path) -> bool:
    """Put a file's digest where ``UNSEALED`` stands in it.

    Returns:
        Whether it stood there.
    """
    return put_in(path, UNSEALED, sealed_digest(path, UNSEALED))


def holds(path: Path, pattern: re.Pattern[bytes], longest: int) -> bool:
    """Whether something that a pattern matches, of so many bytes at most, stands in a file."""
    end = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if pattern.search(end + chunk):
                return True
            end = (end + chunk)[-longest:]
    return False


def _pieces(path: Path, sought: bytes) -> Iterator[tuple[int, memoryview, list[int]]]:
    """A file in pieces, none of which ends within what is sought.

    Yields:
        Where a piece begins, its bytes until the next one is asked for, and where in it what is
        sought stands.
    """
    buffer = bytearray(_CHUNK + len(sought))
    view, at, held = memoryview(buffer), 0, 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(view[held:]):
            size = held + count
            places = list(_found(buffer, sought, size))
            last = places[-1] + len(sought) if places else 0
            end = max(last, size - len(sought) + 1)
            yield at, view[:end], places
            at, held = at + end, size - end
            view[:held] = view[end:size]
    yield at, view[:held], []


def _found(data: bytearray, sought: bytes, size: int) -> Iterator[int]:
    at = data.find(sought, 0, size)
    while at >= 0:
        yield at
        at = data.find(sought, at + len(sought), size)
