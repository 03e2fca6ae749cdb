"""Bundles and output folders, as archives and unpacked, with all that archives can hold."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import ClassVar

from edgeferry.app import bundle_run
from edgeferry.app.archives import write_archive
from edgeferry.app.console import show
from edgeferry.app.results import write_document
from edgeferry.app.verification import verify
from edgeferry.app.verification_tables import verification_table
from edgeferry.errors import ArtifactError
from fuzz.damage import damaged
from fuzz.shapes import broken_json
from fuzz.target import Target

_SUFFIXES = (".tar.gz", ".zip")
_NAMES = (
    "../climbs",
    "b/../../climbs",
    "/absolute",
    "//absolute",
    "b//twice",
    "b/./here",
    "b",
    "",
    ".",
    "b/",
    "c/beside",
    "b/model/../run.py",
    "b/C:\\windows",
    "C:/windows",
    "b/\x1b[31mred",
    "b/\u202egnp",
    "b/" + "a" * 300,
    "b/" + "d/" * 100 + "deep",
    "b/run.py",
    "b/RUN.PY",
    "b/SHA256SUMS",
    "b/site/edgeferry.py",
    "b/folder/",
    "b/run.py/",
    "../climbs/",
    "/absolute/",
)
_KINDS = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CONTTYPE,
    tarfile.DIRTYPE,
    tarfile.GNUTYPE_SPARSE,
    tarfile.XHDTYPE,
    b"Z",
)
_TARGETS = ("/etc/passwd", "../../../../etc/passwd", "b/run.py", "run.py", ".", "/dev/zero")
_SUMS = "SHA256SUMS"
_OTHER_NAME = b"\x75\x70\x0d\0\1\0\0\0\0b/run.py"

Files = Mapping[str, bytes]


class Bundles(Target):
    """``edgeferry verify`` on archives, folders and manifests, and a bundle's own ``run.py``."""

    full: ClassVar[int] = 1000
    quick: ClassVar[int] = 30
    memory_mb: ClassVar[int] = 64
    programs: ClassVar[bool] = True

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        self._files = _bundle_files(artifacts)
        paths = {f"b/{name}": scratch / name.replace("/", "-") for name in self._files}
        for name, path in paths.items():
            path.write_bytes(self._files[name.removeprefix("b/")])
        self._whole = {}
        for suffix in _SUFFIXES:
            write_archive(scratch / f"whole{suffix}", paths)
            self._whole[suffix] = (scratch / f"whole{suffix}").read_bytes()
        self._manifest = (artifacts / "manifest.json").read_bytes()

    def make(self, random: Random, folder: Path) -> str:
        make = random.choice((self._harmed, self._repacked, self._repacked, self._unpacked))
        return (self._out if random.random() < 0.1 else make)(random, folder)

    def run(self, folder: Path) -> None:
        (path,) = folder.iterdir()
        before = _listing(folder)
        if (path / "run.py").is_file():
            _run_py(path)
        report = verify([path])
        assert _listing(folder) == before, "verifying changed something"
        show(verification_table(report))
        write_document(report.document(), str(folder / "report.json"))
        if report.failures:
            raise ArtifactError("; ".join(report.failures.values()))
        if path.is_file():
            _unpack(path, folder)

    def _harmed(self, random: Random, folder: Path) -> str:
        """An archive as edgeferry writes it, damaged."""
        suffix = random.choice(_SUFFIXES)
        data = damaged(self._whole[suffix], list(self._whole.values()), random)
        (folder / f"harmed{suffix}").write_bytes(data)
        return "damaged archive"

    def _repacked(self, random: Random, folder: Path) -> str:
        """An archive that another program wrote, with what no bundle holds."""
        make = random.choice((_strange_tar, _strange_tar, _strange_zip, _strange_zip, _bomb))
        name, data = make(self._files, random)
        if random.random() < 0.3:
            data = damaged(data, [data], random)
        (folder / name).write_bytes(data)
        return make.__name__.strip("_").replace("_", " ")

    def _unpacked(self, random: Random, folder: Path) -> str:
        """A folder with a broken file, and links."""
        files = dict(self._files)
        name = random.choice((_SUMS, _SUMS, "bundle.json", *files))
        if name != "run.py":
            broken = broken_json if name == "bundle.json" else _broken_sums
            files[name] = (broken if name in (_SUMS, "bundle.json") else _damaged)(
                files[name], random
            )
        if name != _SUMS and random.random() < 0.5:
            files[_SUMS] = _sums(files)
        for each, content in files.items():
            path = folder / "b" / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if random.random() < 0.3:
            _add_strange(folder / "b", random)
        return f"unpacked, {name}"

    def _out(self, random: Random, folder: Path) -> str:
        """An output folder with a broken manifest."""
        (folder / "out").mkdir()
        for path in self.artifacts.glob("*.int8.*"):
            shutil.copy(path, folder / "out")
        (folder / "out/manifest.json").write_bytes(broken_json(self._manifest, random))
        return "manifest"


def _bundle_files(artifacts: Path) -> dict[str, bytes]:
    model = next(iter(sorted(artifacts.glob("*.int8.onnx")))).read_bytes()
    about = {"python": "3.11", "artifact": "model/net.onnx", "runtime": "onnxruntime"}
    about |= {"threads": None, "settings": {}, "offline": False, "schema": 1}
    files = {
        "run.py": Path(bundle_run.__file__).read_bytes(),
        "bundle.json": json.dumps(about).encode(),
        "requirements.txt": b"numpy==2.4.6\n",
        "README.txt": b"a bundle\n",
        "model/net.onnx": model,
    }
    return {**files, _SUMS: _sums(files)}


def _sums(files: Files) -> bytes:
    lines = (
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in files.items()
        if name != _SUMS
    )
    return "".join(lines).encode("utf-8", "surrogateescape")


def _broken_sums(sums: bytes, random: Random) -> bytes:
    lines = sums.splitlines()
    odd = random.choice((*_NAMES, "\0", "a\0b", "/dev/zero", "\udc80", "run.py"))
    line = f"{'0' * 64}  {odd}".encode("utf-8", "surrogateescape")
    changed = (
        [*lines, line],
        lines[1:],
        [*lines, lines[0]],
        [lines[0].upper(), *lines[1:]],
        [each.replace(b"  ", b" *") for each in lines],
        [],
        lines * 5000,
        [damaged(sums, [sums], random)],
    )
    return b"\n".join(random.choice(changed))


def _damaged(data: bytes, random: Random) -> bytes:
    return damaged(data, [data], random)


def _strange_tar(files: Files, random: Random) -> tuple[str, bytes]:
    """A tar with entries that are no plain files below one folder."""
    raw = io.BytesIO()
    kind = random.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1, format=kind) as archive:
        for name, content in files.items():
            _add(archive, f"b/{name}", content)
        for _ in range(random.choice((0, 1, 1, 3))):
            _add_entry(archive, random)
    return "strange.tar.gz", raw.getvalue()


def _add_entry(archive: tarfile.TarFile, random: Random) -> None:
    entry = tarfile.TarInfo(random.choice(_NAMES))
    entry.type = random.choice((tarfile.REGTYPE, *_KINDS))
    entry.linkname = random.choice(_TARGETS)
    entry.size = random.choice((0, 0, 5, 1 << 20, (1 << 33) - 1))
    entry.devmajor, entry.devminor = 1, 5  # /dev/zero
    entry.mode = random.choice((0o644, 0o755, 0o6755))
    try:
        header = _odd(entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"), random)
    except ValueError:
        return
    assert archive.fileobj is not None
    archive.fileobj.write(header + bytes(random.choice((0, 512))))


def _odd(header: bytes, random: Random) -> bytes:
    """A header of whose fields programs may think differently, with the right checksum."""
    at, data = random.choice(((0, b""), (0, b""), (345, b"prefix"), (257, b"ustar\0" + b"00")))
    changed = bytearray(header)
    changed[at : at + len(data)] = data
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _strange_zip(files: Files, random: Random) -> tuple[str, bytes]:
    """A zip with entries that are no plain files below one folder, or lie over each other."""
    raw = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # that names come twice
        for name, content in files.items():
            archive.writestr(f"b/{name}", content)
        for _ in range(random.choice((0, 1, 1, 3))):
            entry = zipfile.ZipInfo(random.choice(_NAMES))
            entry.external_attr = random.choice((0, 0o120777, 0o020666, 0o010666, 0o100644)) << 16
            entry.extra = random.choice((b"", b"", _OTHER_NAME))
            archive.writestr(entry, random.choice((*_TARGETS, "", "")))
        if random.random() < 0.3:  # the directory lists the same bytes many times
            archive.filelist *= random.choice((2, 3000))
        archive.comment = random.choice((b"", b"a comment", b"5ea1" * 16, b"0" * 64))
    data = raw.getvalue()
    if random.random() < 0.2:
        data = random.choice((b"#!/bin/sh\n" + data, data + b"behind", data + data))
    return "strange.zip", data


@cache
def _zeros(number: int) -> bytes:
    """A raw deflate stream of so many times 16 MiB of zeros."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * number


def _bomb(files: Files, random: Random) -> tuple[str, bytes]:
    """Ten gigabytes of zeros, in ten megabytes."""
    size, packed = 640 << 24, _zeros(640)
    entry = tarfile.TarInfo("b/zeros")
    entry.size = random.choice((size, 5, 0))
    header = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = header.compress(entry.tobuf(tarfile.GNU_FORMAT)) + header.flush(zlib.Z_FULL_FLUSH)
    if random.random() < 0.5:
        gzip = b"\x1f\x8b\x08\0\0\0\0\0\2\xff"
        return "bomb.tar.gz", gzip + start + packed + b"\3\0" + bytes(8)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("b/zeros", packed + b"\3\0")
        told = archive.filelist[0]
        told.compress_type, told.file_size = zipfile.ZIP_DEFLATED, (1 << 32) - 2
    data = bytearray(raw.getvalue())
    data[8:10] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")
    data[22:26] = ((1 << 32) - 2).to_bytes(4, "little")
    return "bomb.zip", bytes(data)


def _add_strange(folder: Path, random: Random) -> None:
    """Links, and files that only folders have."""
    ways: tuple[Callable[[], None], ...] = (
        lambda: (folder / "link").symlink_to("/etc/passwd"),
        lambda: (folder / "circle").symlink_to("."),
        lambda: (folder / "model/nowhere").symlink_to("nothing"),
        lambda: os.mkfifo(folder / "pipe"),
        lambda: (folder / "unlisted.py").write_text("1/0") and None,
        lambda: (folder / "json.py").write_text("raise SystemExit(9)") and None,
        lambda: os.close(os.open(os.fsencode(folder) + b"/\xff\xfe", os.O_CREAT)),
    )
    random.choice(ways)()


def _run_py(folder: Path) -> None:
    """What the bundle says of itself, and then of a picture: a line, and no traceback."""
    for arguments in (["--verify"], ["picture.png"]):
        done = subprocess.run(
            [sys.executable, "-I", "run.py", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
        )
        told = done.stderr.decode(errors="replace")
        assert done.returncode in (0, 1, 2) and "Traceback" not in told, told


def _unpack(archive: Path, folder: Path) -> None:
    """What is whole stays so, whatever program unpacks it."""
    kind = "zip" if archive.suffix == ".zip" else "tar"
    command = ["unzip", "-q"] if kind == "zip" else ["tar", "-xzf"]
    (folder / kind).mkdir()
    if shutil.which(command[0]):
        subprocess.run(
            [*command, archive.resolve()], cwd=folder / kind, capture_output=True, check=True
        )
    else:
        shutil.unpack_archive(archive, folder / kind)
    (root,) = (folder / kind).iterdir()
    problems = verify([root]).failures
    assert not problems, problems


def _listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))
