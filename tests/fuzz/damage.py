"""Bytes, damaged in every way that a file gets damaged, and in some that only people think of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

_TELLING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at the ends of what fields can hold."""
_HEADER = 160
"""Bytes at a file's beginning where its sizes stand, mostly."""


def damaged(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A file with one to three damages.

    Args:
        data: The whole file.
        others: Files to take pieces of.
        random: Draws.
    """
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(_WAYS)(data, others, random)
    return data


def flipped(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Some bits turned over."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8, 64)) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """The beginning of it."""
    return data[: random.randrange(len(data) + 1)]


def spliced(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Its beginning, and the end of another file."""
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def grown(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A piece of another file, or of itself, put in the middle."""
    other = random.choice([*others, data])
    begin, at = random.randrange(len(other) + 1), random.randrange(len(data) + 1)
    return data[:at] + other[begin : begin + random.randrange(4096)] + data[at:]


def shrunk(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A piece taken out of the middle."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 2, 4, random.randrange(4096))) :]


def numbered(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A number of two, four or eight bytes put in place of another, often near the beginning."""
    size = random.choice((2, 4, 4, 8))
    if len(data) < size:
        return data
    end = min(len(data), random.choice((_HEADER, _HEADER, len(data)))) - size
    at = random.randrange(end + 1)
    number = random.choice((*_TELLING, random.getrandbits(8 * size), len(data)))
    number &= (1 << (8 * size)) - 1
    return data[:at] + number.to_bytes(size, random.choice(("little", "big"))) + data[at + size :]


def overwritten(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A run of bytes made equal, or noise."""
    at, length = random.randrange(len(data) + 1), random.randrange(1, 256)
    noise = random.randbytes(length)
    run = random.choice((noise, noise[:1] * length, bytes(length), b"\xff" * length))
    return data[:at] + run + data[at + length :]


_WAYS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    flipped,
    cut,
    spliced,
    grown,
    shrunk,
    numbered,
    numbered,
    overwritten,
)
