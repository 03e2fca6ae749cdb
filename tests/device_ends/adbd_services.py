"""What the tests' adb daemon does for a host: a shell, and files to and fro.

Written from ``shell_protocol.h`` (the shell's version 2) and ``SYNC.TXT`` in adb's sources.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_ends.adbd import Phone, Stream

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_CHUNK = 1 << 16


def serve_shell(stream: Stream, phone: Phone, line: str, v2: bool) -> None:
    """Run a line; in version 2 the streams come apart and the exit code is told."""
    ours, theirs = socket.socketpair()
    with ours, phone.start(line, theirs, subprocess.PIPE if v2 else subprocess.STDOUT) as process:
        theirs.close()
        threading.Thread(target=_feed, args=(stream, ours, v2), daemon=True).start()
        complaints = threading.Thread(target=_hand_on_complaints, args=(stream, process))
        complaints.start()
        try:
            while data := ours.recv(_CHUNK):
                stream.write(_framed(_STDOUT, data) if v2 else data)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            complaints.join()
        code = process.wait()
        if v2:
            stream.write(_framed(_EXIT, bytes([code if code >= 0 else 128 - code])))


def _feed(stream: Stream, into: socket.socket, v2: bool) -> None:
    with contextlib.suppress(OSError, EOFError):
        while v2:
            kind, size = struct.unpack("<BI", stream.read(5))
            data = stream.read(size)
            if kind == _STDIN:
                into.sendall(data)
            elif kind == _CLOSE_STDIN:
                into.shutdown(socket.SHUT_WR)
        while True:
            into.sendall(stream.read(1))
    with contextlib.suppress(OSError):
        into.shutdown(socket.SHUT_RDWR)


def _hand_on_complaints(stream: Stream, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while process.stderr and (data := os.read(process.stderr.fileno(), _CHUNK)):
            stream.write(_framed(_STDERR, data))


def _framed(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def serve_files(stream: Stream, phone: Phone) -> None:
    """Answer a host that asks for files, or sends some, until it is done."""
    while True:
        request, size = _header(stream)
        argument = stream.read(size).decode()
        if request == b"STAT":
            _tell_status(stream, phone.local(argument))
        elif request == b"SEND":
            _take(stream, phone, argument)
        elif request == b"RECV":
            _give(stream, phone.local(argument))
        else:
            return


def _header(stream: Stream) -> tuple[bytes, int]:
    name, number = struct.unpack("<4sI", stream.read(8))
    return name, number


def _tell_status(stream: Stream, path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        stream.write(struct.pack("<4s3I", b"STAT", 0, 0, 0))
        return
    told = status.st_mode, status.st_size & 0xFFFFFFFF, int(status.st_mtime)
    stream.write(struct.pack("<4s3I", b"STAT", *told))


def _take(stream: Stream, phone: Phone, argument: str) -> None:
    name, _, mode = argument.rpartition(",")
    path = phone.local(name)
    pieces = []
    while True:
        kind, number = _header(stream)
        if kind == b"DONE":
            break
        pieces.append(stream.read(number))
    phone.when_written()
    if phone.full:
        return _refuse(stream, "No space left on device")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(pieces))
    path.chmod(int(mode) & 0o777)
    stream.write(struct.pack("<4sI", b"OKAY", 0))


def _give(stream: Stream, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        return _refuse(stream, error.strerror or "")
    for start in range(0, len(content), _CHUNK):
        piece = content[start : start + _CHUNK]
        stream.write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
    stream.write(struct.pack("<4sI", b"DONE", 0))


def _refuse(stream: Stream, reason: str) -> None:
    stream.write(struct.pack("<4sI", b"FAIL", len(reason)) + reason.encode())
