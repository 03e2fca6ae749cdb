"""Pictures: damaged files of every format, bombs, sizes that cannot be, and broken EXIF."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import ClassVar

import edgeferry
from edgeferry.contract import InputSpec, ResizeRule
from edgeferry.images import to_input
from fuzz.damage import damaged
from fuzz.picture_files import bombs, whole_files
from fuzz.target import Target

_SIZES = (0, 1, 2, 255, 9000, 16383, 30000, 65500, 65535, 1 << 24, 0x7FFFFFFF, 0xFFFFFFFF)
_SPECS = (
    InputSpec(32, 32),
    InputSpec(24, 40, channels=1, resize=ResizeRule("pad", interpolation="lanczos")),
    InputSpec(33, 21, resize=ResizeRule("squash", interpolation="nearest")),
)
_BOMBS = 0.005
"""Share of cases: they are large, and take seconds."""
_FILE, _BYTES, _PREDICT = "picture", "picture-bytes", "picture-predict"
"""Names of the input, by the way it is given."""


class Pictures(Target):
    """``to_input`` and ``Predictor.predict``."""

    full: ClassVar[int] = 10_000
    quick: ClassVar[int] = 300
    memory_mb: ClassVar[int] = 1500

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        self._files = whole_files()
        self._bombs = {name: cache(made) for name, made in bombs().items()}
        self._predictor = edgeferry.load(next(iter(sorted(artifacts.glob("*.fp32.onnx")))))

    def make(self, random: Random, folder: Path) -> str:
        if random.random() < _BOMBS:
            name = random.choice(list(self._bombs))
            data, done = self._bombs[name](), "bomb"
        else:
            name = random.choice(list(self._files))
            data, done = self._damaged(self._files[name], random)
        (folder / random.choice((_FILE, _BYTES, _PREDICT))).write_bytes(data)
        return f"{name}, {done}"

    def run(self, folder: Path) -> None:
        (path,) = folder.iterdir()
        if path.name == _PREDICT:
            self._predictor.predict(path)
            return
        spec = _SPECS[path.stat().st_size % len(_SPECS)]
        pixels = to_input(path.read_bytes() if path.name == _BYTES else path, spec)
        assert pixels.shape == spec.shape[1:]

    def _damaged(self, data: bytes, random: Random) -> tuple[bytes, str]:
        others = list(self._files.values())
        way = random.choice(("any", "any", "any", "size", "exif", "none"))
        if way == "size":
            data = _resized(data, random)
        elif way == "exif":
            data = _with_exif(data, random)
        if way == "any" or random.random() < 0.3:
            data = damaged(data, others, random)
        repaired = data.startswith(b"\x89PNG") and random.random() < 0.8
        return (_with_right_sums(data), f"{way}, sums put right") if repaired else (data, way)


def _resized(data: bytes, random: Random) -> bytes:
    """Width and height replaced where the format has them; see ``_SIZE_AT``."""
    width, height = random.choice(_SIZES), random.choice(_SIZES)
    for magic, offset, form in _SIZE_AT:
        at = data.find(magic)
        if at >= 0 and at + offset + struct.calcsize(form) <= len(data):
            size = struct.calcsize(form)
            most = (1 << (4 * size)) - 1  # two numbers share it
            packed = struct.pack(form, min(width, most), min(height, most))
            return data[: at + offset] + packed + data[at + offset + size :]
    return data.replace(b"48 40", f"{width} {height}".encode(), 1)


_SIZE_AT = (
    (b"IHDR", 4, ">II"),
    (b"\xff\xc0", 5, ">HH"),
    (b"\xff\xc2", 5, ">HH"),
    (b"GIF8", 6, "<HH"),
    (b"BM", 18, "<II"),
    (b"qoif", 4, ">II"),
    (b"VP8X", 12, "<HH"),
    (b"ihdr", 4, ">II"),
    (b"ispe", 8, ">II"),
    (b"\xff\x4f\xff\x51", 8, ">II"),
    (b"DDS ", 12, "<II"),
    (b"\x01\xda", 6, ">HH"),
    (b"\0\0\x02\0\0\0\0\0", 12, "<HH"),
    (b"\0\0\x0a\0\0\0\0\0", 12, "<HH"),
)
"""What stands before width and height (height and width in JPEG), how far, and how they stand."""


def _with_exif(data: bytes, random: Random) -> bytes:
    """Orientation and other tags of wrong types and counts, in place of those that are there."""
    entries = [
        struct.pack(
            "<HHII",
            random.choice((0x0112, 0x0112, 0x8769, 0x8825, 0x0100, random.getrandbits(16))),
            random.choice((1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 16, random.getrandbits(16))),
            random.choice((0, 1, 2, 1000, 0x7FFFFFFF, 0xFFFFFFFF)),
            random.choice((0, 3, 8, 9, 0xFFFF, 0xFFFFFFFF, random.getrandbits(32))),
        )
        for _ in range(random.randrange(1, 8))
    ]
    count = random.choice((len(entries), 0, 0xFFFF))
    after = struct.pack("<I", random.choice((0, 8, 0xFFFFFFFF)))  # 8 is this very table
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + b"".join(entries) + after
    at = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if at > 0:
        return data[:at] + block + data[at + len(block) :]
    if data.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    if data.startswith(b"\x89PNG"):
        chunk = struct.pack(">I", len(block)) + b"eXIf" + block + bytes(4)
        return data[:33] + chunk + data[33:]
    return block + data[len(block) :]  # a TIFF file is one such block


def _with_right_sums(data: bytes) -> bytes:
    """A PNG file whose check sums suit what is in it, so that decoders go on."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = min(at + 8 + length, len(data) - 4)
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join([*parts, data[at:]])
