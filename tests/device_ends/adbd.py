"""A small adb daemon over TCP on loopback that stands for a phone.

Written from ``protocol.txt`` in adb's sources. Commands run in this machine's ``/bin/sh``; a folder
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

from device_ends.adbd_services import serve_files, serve_shell
from edgeferry.closing import Closing

HOME = "/data/local/tmp"
_VERSION = 0x01000001
_PAYLOAD = 1 << 18
_BANNER = b"device::ro.product.name=rok;ro.product.model=Rok 7;ro.product.device=rok;features="


class Phone(Closing):
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
        self.when_written: Callable[[], None] = lambda: None
        """Called when a file has come, before the answer."""
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

    def start(self, line: str, stream: socket.socket, stderr: int) -> subprocess.Popen[bytes]:
        """Start a line for the shell, its input and output on one socket, as adbd has it."""
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["/bin/sh", "-c", line.replace(HOME, str(self.root))],
            stdin=stream,
            stdout=stream,
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

    def close(self) -> None:
        """Be gone, with all files."""
        self.die()
        shutil.rmtree(self.root, ignore_errors=True)


class _Connection:
    """One host's messages."""

    def __init__(self, link: socket.socket, phone: Phone) -> None:
        self._link = link
        self._phone = phone
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}

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
        stream = self._streams[near] = Stream(self, near, far)
        self.send(b"OKAY", near, far)
        threading.Thread(target=stream.serve, args=(serve,), daemon=True).start()

    def _service(self, service: str) -> Callable[[Stream], None] | None:
        kind, _, line = service.partition(":")
        name, *options = kind.split(",")
        if name in ("shell", "exec"):
            return lambda stream: serve_shell(stream, self._phone, line, "v2" in options)
        return (lambda stream: serve_files(stream, self._phone)) if name == "sync" else None

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._link.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


class Stream:
    """One open service."""

    def __init__(self, connection: _Connection, near: int, far: int) -> None:
        self._connection = connection
        self._near, self._far = near, far
        self._rest = b""
        self._gone = False
        self.arrived: queue.Queue[bytes | None] = queue.Queue()
        self.may_send = threading.Semaphore(0)

    def serve(self, service: Callable[[Stream], None]) -> None:
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
