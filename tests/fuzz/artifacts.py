"""Artifacts: whole ones of each format, damaged where their structure is, and made-up ones."""

from __future__ import annotations

import html
import re
import struct
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np

import edgeferry
from edgeferry.app.probe import SECONDS, Use, check_safe
from edgeferry.artifact import METADATA_NAME, open_artifact, require_contract
from fuzz.damage import damaged
from fuzz.shapes import broken_json, value
from fuzz.target import Target

_WINDOW = 400
"""Bytes that are damaged, somewhere around what tells the structure."""
_MADE_UP = 0.05
"""Share of the cases that are made up."""
_MANY = 300_000
_VALUE = re.compile(rb'="([^"]*)"')
"""Of an attribute in XML."""


class ArtifactFiles(Target):
    """Files of one format, opened and run once as the commands do it.

    What carries a digest is held to it; what carries none is tried out in another process.
    """

    full: ClassVar[int] = 1000
    quick: ClassVar[int] = 150
    memory_mb: ClassVar[int] = 256
    waiting: ClassVar[float] = 3 * SECONDS
    programs: ClassVar[bool] = True
    suffix: ClassVar[str]
    marks: ClassVar[tuple[bytes, ...]]
    """What stands where the structure is, the contract last; the weights tell nothing."""

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        paths = sorted(artifacts.glob(f"*{self.suffix}"))
        self._files = {path: path.read_bytes() for path in paths}
        _use(paths[0])  # what importing the engine takes is not the first case's

    def make(self, random: Random, folder: Path) -> str:
        whole = random.choice(list(self._files))
        if random.random() < _MADE_UP:
            made = random.choice(self.made_up())
            data, done = made(random), made.__name__.strip("_").replace("_", " ")
        else:
            data, done = self._damaged(self._files[whole], random)
        (folder / f"net{self.suffix}").write_bytes(data)
        self.write_others(whole, folder, random)
        return f"{whole.name}, {done}"

    def run(self, folder: Path) -> None:
        path = folder / f"net{self.suffix}"
        artifact = open_artifact(path)
        contract = require_contract(artifact)
        check_safe([artifact], Use())
        if contract.integrity is not None:
            assert path.read_bytes() in self._files.values(), "a changed file passed"
        _use(path)

    def write_others(self, whole: Path, folder: Path, random: Random) -> None:
        """Write what belongs to the artifact beside it."""

    @abstractmethod
    def made_up(self) -> tuple[Callable[[Random], bytes], ...]:
        """What makes files that no exporter would."""

    def _damaged(self, data: bytes, random: Random) -> tuple[bytes, str]:
        others = list(self._files.values())
        way = random.choice(("structure", "structure", "contract", "anywhere"))
        if way == "anywhere":
            return damaged(data, others, random), way
        if way == "contract":
            return self._with_contract(data, random), way
        mark = data.find(random.choice(self.marks))
        at = max(0, mark + random.randrange(-_WINDOW, 3 * _WINDOW))
        end = at + _WINDOW
        return data[:at] + damaged(data[at:end], others, random) + data[end:], way

    def _with_contract(self, data: bytes, random: Random) -> bytes:
        """Another contract in the same place, of the same length where that can be had."""
        begin = data.find(b"{", data.find(self.marks[-1]))
        end = data.find(b"}}", begin) + 2
        told = self.written(broken_json(self.read(data[begin:end]), random))
        told = told.ljust(end - begin)[: end - begin] if random.random() < 0.5 else told
        return data[:begin] + told + data[end:]

    def read(self, contract: bytes) -> bytes:
        """A contract as it stands in the file, as JSON."""
        return contract

    def written(self, contract: bytes) -> bytes:
        """The other way round."""
        return contract


class TfliteFiles(ArtifactFiles):
    """FlatBuffers: offsets that lead elsewhere, vectors that are longer than the file."""

    suffix: ClassVar[str] = ".tflite"
    marks: ClassVar[tuple[bytes, ...]] = (b"TFL3", METADATA_NAME.encode(), b"main", b'{"schema"')

    def made_up(self) -> tuple[Callable[[Random], bytes], ...]:
        return _header_alone, _many_buffers, _table_of_itself


class OnnxFiles(ArtifactFiles):
    """Protobuf: fields longer than the file, numbers without an end, groups."""

    suffix: ClassVar[str] = ".onnx"
    marks: ClassVar[tuple[bytes, ...]] = (b"\x08", METADATA_NAME.encode(), b'{"schema"')

    def made_up(self) -> tuple[Callable[[Random], bytes], ...]:
        return _many_fields, _endless_number, _many_properties


class OpenvinoFiles(ArtifactFiles):
    """XML, well-formed and not, and weights that are cut."""

    suffix: ClassVar[str] = ".xml"
    marks: ClassVar[tuple[bytes, ...]] = (b"<?xml", b"<net", b"offset=", b"<rt_info", b"<contract")

    def read(self, contract: bytes) -> bytes:
        return html.unescape(contract.decode()).encode()

    def written(self, contract: bytes) -> bytes:
        return html.escape(contract.decode(errors="replace")).encode()

    def made_up(self) -> tuple[Callable[[Random], bytes], ...]:
        return _entity_bomb, _external_entity, _nested, _many_elements, _large_attribute, _encoded

    def _damaged(self, data: bytes, random: Random) -> tuple[bytes, str]:
        if random.random() < 0.5:
            return _other_values(data, random), "values"
        return super()._damaged(data, random)

    def write_others(self, whole: Path, folder: Path, random: Random) -> None:
        data = whole.with_suffix(".bin").read_bytes()
        kept = random.choice((len(data), len(data), len(data), random.randrange(len(data))))
        if random.random() < 0.98:
            (folder / "net.bin").write_bytes(data[:kept])


def _use(path: Path) -> None:
    with edgeferry.load(path, threads=1) as predictor:
        predictor.predict(np.zeros((8, 8, 3), np.uint8))


def _other_values(data: bytes, random: Random) -> bytes:
    """Values of attributes replaced, so that most of it is still XML."""
    places = [match.span(1) for match in _VALUE.finditer(data)]
    for begin, end in sorted(random.sample(places, random.choice((1, 1, 3))), reverse=True):
        told = html.escape(str(value(random, depth=0)))
        data = data[:begin] + told.encode("utf-8", "replace") + data[end:]
    return data


def _header_alone(random: Random) -> bytes:
    return struct.pack("<I", random.getrandbits(5)) + b"TFL3" + random.randbytes(40)


def _many_buffers(random: Random) -> bytes:
    """A vector of very many buffers, which are all the same one."""
    count = random.choice((_MANY, 8 * _MANY))
    head = struct.pack("<I4s", 24, b"TFL3")
    model = struct.pack("<7H2xiI", 14, 8, 0, 0, 0, 0, 4, 16, 4)  # field 4 leads to the vector
    offsets = struct.pack(f"<{count}I", *range(4 * count + 4, 4, -4))
    buffer = struct.pack("<HHi", 4, 4, 4)
    return head + model + struct.pack("<I", count) + offsets + buffer


def _table_of_itself(random: Random) -> bytes:
    """Offsets that lead back to where they stand."""
    return struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", random.choice((0, 8, -8))) * 64


def _many_fields(random: Random) -> bytes:
    """Small numbers, one after another, for many megabytes."""
    return b"\x08\x01" * random.choice((_MANY, 16 * _MANY))


def _many_properties(random: Random) -> bytes:
    entry = b"\x0a\x01a\x12\x01b"
    return (b"\x72" + bytes([len(entry)]) + entry) * random.choice((_MANY, 8 * _MANY))


def _endless_number(random: Random) -> bytes:
    return b"\x08" + b"\x80" * random.randrange(1, 2_000_000)


def _entity_bomb(random: Random) -> bytes:
    lines = "".join(
        f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(random.randrange(2, 20))
    )
    text = f'<!DOCTYPE net [<!ENTITY a0 "ha">{lines}]><net name="&a9;">&a9;</net>'
    return text.encode()


def _external_entity(random: Random) -> bytes:
    place = random.choice(("file:///etc/passwd", "http://127.0.0.1:1/a", "/dev/zero"))
    return f'<!DOCTYPE net SYSTEM "{place}" [<!ENTITY a SYSTEM "{place}">]><net>&a;</net>'.encode()


def _nested(random: Random) -> bytes:
    depth = random.choice((1000, 100_000, 1_000_000))
    closed = random.random() < 0.5
    return b"<net>" + b"<a>" * depth + (b"</a>" * depth + b"</net>" if closed else b"")


def _many_elements(random: Random) -> bytes:
    return b"<net>" + b"<a/>" * random.choice((_MANY, 16 * _MANY)) + b"</net>"


def _large_attribute(random: Random) -> bytes:
    value = random.choice((b"9" * 5000, b"9" * 4_000_000, b"-1", b"0x10", b"1e3", b"\xc2\xb2", b""))
    return b'<net><layers><data offset="' + value + b'" size="1"/></layers></net>'


def _encoded(random: Random) -> bytes:
    named = random.choice(("utf-7", "utf-16", "idna", "rot13", "hex", "cp037", "punycode", "x", ""))
    text = f'<?xml version="1.0" encoding="{named}"?><net><a b="+AGEAYg-"/></net>'
    return text.encode(random.choice(("utf-8", "utf-16", "utf-32", "cp037")))
