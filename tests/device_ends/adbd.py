"""A small adb daemon over TCP on loopback that stands for a phone.

Written from the documentation in adb's sources: ``protocol.txt`` (messages), ``SYNC.TXT`` (files)
and ``shell_protocol.h`` (shell, version 2). Commands run in this machine's ``/bin/sh``; a folder
stands for ``/data/local/tmp``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

HOME = "/data/local/tmp"
_VERSION = 0x01000001
_PAYLOAD = 1 << 18
_BANNER = b"device::ro.product.name=rok;ro.product.model=Rok 7;ro.product.device=rok;features="
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)


class Phone:
    """The daemon; it listens until the block ends.

    Args:
        root: Stands for ``/data/local/tmp``.
        properties: What ``getprop`` tells.
        features: What the daemon says it can; without ``shell_v2``, as before Android 7, there
            are no exit codes and one stream.
    """

    def __init__(
        self, root: Path, properties: Mapping[str, str], features: str = "shell_v2,cmd"
    ) -> None:
        self.root = root
        self.full = False
        """Whether there is no space left."""
        self.dies_on_write = False
        self.banner = _BANNER + features.encode()
        self.awake = threading.Event()
        self.awake.set()
        self._programs = root / "system-bin"
        self._programs.mkdir(parents=True)
        answers = "".join(f"[{name}]: [{value}]\n" for name, value in properties.items())
        self.add_program("getprop", f"cat <<'END'\n{answers}END\n")
        self._links: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        """What ``adb`` calls it."""
        threading.Thread(target=self._accept, daemon=True).start()

    def add_program(self, name: str, script: str) -> None:
        """Put a script for ``sh`` where commands find it first."""
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def local(self, path: str) -> Path:
        """Where a file of the phone is on this machine."""
        return Path(path.replace(HOME, str(self.root), 1))

    def freeze(self) -> None:
        """Answer nothing any more."""
        self.awake.clear()

    def die(self) -> None:
        """Be gone, as when the cable is pulled."""
        # Only this ends the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Drop every connection, and listen for new ones."""
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self.awake.set()

    def start(self, line: str, ours: socket.socket, stderr: int) -> subprocess.Popen[bytes]:
        """Start a line for the shell, its input and output on one socket, as adbd has it."""
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["/bin/sh", "-c", line.replace(HOME, str(self.root))],
            stdin=ours,
            stdout=ours,
            stderr=stderr,
            cwd="/",
            env=environment,
            start_new_session=True,
        )

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._links.append(link)
                threading.Thread(target=_Connection(link, self).serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.die()
        shutil.rmtree(self.root, ignore_errors=True)


class _Connection:
    """One host's messages."""

    def __init__(self, link: socket.socket, phone: Phone) -> None:
        self._link = link
        self._phone = phone
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def serve(self) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                while True:
                    command, far, near, size, _, _ = struct.unpack("<4s5I", self._exactly(24))
                    payload = self._exactly(size)
                    self._phone.awake.wait()
                    self._answer(command, far, near, payload)
        finally:
            self._link.close()
            for stream in self._streams.values():
                stream.hang_up()

    def send(self, command: bytes, near: int, far: int, payload: bytes = b"") -> None:
        self._phone.awake.wait()
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        checksum = sum(payload) & 0xFFFFFFFF
        header = struct.pack("<4s5I", command, near, far, len(payload), checksum, magic)
        with self._sending:
            self._link.sendall(header + payload)

    def _answer(self, command: bytes, far: int, near: int, payload: bytes) -> None:
        stream = self._streams.get(near)
        if command == b"CNXN":
            self.send(b"CNXN", _VERSION, _PAYLOAD, self._phone.banner)
        elif command == b"OPEN":
            self._open(far, payload.rstrip(b"\0").decode())
        elif stream is None:
            return
        elif command == b"WRTE":
            stream.arrived.put(payload)
            self.send(b"OKAY", near, far)
        elif command == b"OKAY":
            stream.may_send.release()
        elif command == b"CLSE":
            stream.hang_up()

    def _open(self, far: int, service: str) -> None:
        serve = self._service(service)
        if serve is None:
            self.send(b"CLSE", 0, far)
            return
        near = len(self._streams) + 1
        stream = self._streams[near] = _Stream(self, near, far)
        self.send(b"OKAY", near, far)
        threading.Thread(target=stream.serve, args=(serve,), daemon=True).start()

    def _service(self, service: str) -> Callable[[_Stream], None] | None:
        kind, _, line = service.partition(":")
        name, *options = kind.split(",")
        if name in ("shell", "exec"):
            return lambda stream: _shell(stream, self._phone, line, "v2" in options)
        return (lambda stream: _sync(stream, self._phone)) if name == "sync" else None

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._link.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


class _Stream:
    """One open service."""

    def __init__(self, connection: _Connection, near: int, far: int) -> None:
        self._connection = connection
        self._near, self._far = near, far
        self._rest = b""
        self._gone = False
        self.arrived: queue.Queue[bytes | None] = queue.Queue()
        self.may_send = threading.Semaphore(0)

    def serve(self, service: Callable[[_Stream], None]) -> None:
        with contextlib.suppress(OSError, EOFError):
            service(self)
            self._connection.send(b"CLSE", self._near, self._far)

    def hang_up(self) -> None:
        self._gone = True
        self.arrived.put(None)
        self.may_send.release()

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = self.arrived.get()
            if piece is None:
                raise EOFError
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _PAYLOAD):
            if self._gone:
                raise EOFError
            self._connection.send(b"WRTE", self._near, self._far, data[start : start + _PAYLOAD])
            self.may_send.acquire()


def _shell(stream: _Stream, phone: Phone, line: str, v2: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, phone.start(line, theirs, subprocess.PIPE if v2 else subprocess.STDOUT) as process:
        theirs.close()
        threading.Thread(target=_feed, args=(stream, ours, v2), daemon=True).start()
        complaints = threading.Thread(target=_hand_on_complaints, args=(stream, process))
        complaints.start()
        try:
            while data := ours.recv(1 << 16):
                stream.write(_framed(_STDOUT, data) if v2 else data)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            complaints.join()
        code = process.wait()
        if v2:
            stream.write(_framed(_EXIT, bytes([code if code >= 0 else 128 - code])))


def _feed(stream: _Stream, into: socket.socket, v2: bool) -> None:
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


def _hand_on_complaints(stream: _Stream, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while process.stderr and (data := os.read(process.stderr.fileno(), 1 << 16)):
            stream.write(_framed(_STDERR, data))


def _framed(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def _sync(stream: _Stream, phone: Phone) -> None:
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


def _header(stream: _Stream) -> tuple[bytes, int]:
    name, number = struct.unpack("<4sI", stream.read(8))
    return name, number


def _tell_status(stream: _Stream, path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        stream.write(struct.pack("<4s3I", b"STAT", 0, 0, 0))
        return
    told = status.st_mode, status.st_size & 0xFFFFFFFF, int(status.st_mtime)
    stream.write(struct.pack("<4s3I", b"STAT", *told))


def _take(stream: _Stream, phone: Phone, argument: str) -> None:
    name, _, mode = argument.rpartition(",")
    path = phone.local(name)
    pieces = []
    while True:
        kind, number = _header(stream)
        if kind == b"DONE":
            break
        pieces.append(stream.read(number))
    if phone.dies_on_write:
        phone.die()
    if phone.full:
        return _refuse(stream, "No space left on device")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(pieces))
    path.chmod(int(mode) & 0o777)
    stream.write(struct.pack("<4sI", b"OKAY", 0))


def _give(stream: _Stream, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        return _refuse(stream, error.strerror or "")
    for start in range(0, len(content), 1 << 16):
        piece = content[start : start + (1 << 16)]
        stream.write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
    stream.write(struct.pack("<4sI", b"DONE", 0))


def _refuse(stream: _Stream, reason: str) -> None:
    stream.write(struct.pack("<4sI", b"FAIL", len(reason)) + reason.encode())
