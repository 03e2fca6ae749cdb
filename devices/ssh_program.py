"""A program on the other side of an SSH connection, for callers that wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from edgeferry.errors import DeviceError, TimeLimitError
from edgeferry.streams import printable

if TYPE_CHECKING:
    from asyncssh import SSHClientProcess, SSHReader

    from edgeferry.devices.ssh_connection import SshConnection

T = TypeVar("T")
MARK = "edgeferry begins"
"""A line that parts what a user's shell prints when it starts from what the program prints."""
_CHUNK = 1 << 16
_KEPT = 1 << 16
"""Bytes of standard error that are kept, the last ones."""


class SshProgram:
    """Its methods raise ``TimeLimitError`` if it takes too long, and ``DeviceLostError``.

    Args:
        connection: How it is reached.
        process: asyncssh's.
        doing: What it does, for messages.
        seconds: How long that may take.
    """

    def __init__(
        self,
        connection: SshConnection,
        process: SSHClientProcess[bytes],
        doing: str,
        seconds: float,
    ) -> None:
        self._connection = connection
        self._process = process
        self._doing = doing
        self._seconds = seconds
        self._started = time.monotonic()

    def begin(self) -> None:
        """Wait until it has printed ``MARK``.

        Raises:
            DeviceError: If it ended without.
        """
        self._wait(self._begin)

    def read(self) -> bytes:
        """The next piece of its standard output; empty at the end."""
        return self._wait(partial(self._process.stdout.read, _CHUNK))

    def feed(self, source: Path) -> None:
        """Give it a file as standard input; if it ends early, it does not get the rest."""
        with source.open("rb") as file:
            self._wait(partial(self._feed, file))

    def ending(self) -> tuple[int, str]:
        """Wait for its end; its exit code and the end of what it complained of."""
        return self._wait(self._ending)

    def _wait(self, work: Callable[[], Awaitable[T]]) -> T:
        return self._connection.wait(self._in_time(work))

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        left = self._started + self._seconds - time.monotonic()
        try:
            async with asyncio.timeout(left) as limit:
                return await work()
        except TimeoutError:
            if not limit.expired():
                raise
            overdue = f"{self._doing} took more than {self._seconds:g} s"
            raise TimeLimitError(f"{overdue} on {self._connection.name}") from None

    async def _begin(self) -> None:
        self._complaints = asyncio.create_task(_end_of(self._process.stderr))
        try:
            await self._process.stdout.readuntil(f"{MARK}\n".encode())
        except asyncio.IncompleteReadError as error:
            code, complaint = await self._ending()
            said = complaint.strip() or error.partial.decode(errors="replace").strip()
            reason = printable((said or f"exit code {code}").splitlines()[-1])
            raise DeviceError(
                f"{self._doing} did not start on {self._connection.name}: {reason}"
            ) from None

    async def _feed(self, file: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError):
            while chunk := file.read(_CHUNK):
                self._process.stdin.write(chunk)
                await self._process.stdin.drain()
            self._process.stdin.write_eof()

    async def _ending(self) -> tuple[int, str]:
        await self._process.wait_closed()
        code = self._process.returncode
        if code is None:
            raise self._connection.lost("the connection ended")
        complaint = (await self._complaints).decode(errors="replace")
        return (code if code >= 0 else 128 - code), complaint


async def _end_of(stream: SSHReader[bytes]) -> bytes:
    from asyncssh import Error

    kept = b""
    with contextlib.suppress(Error, OSError):
        while data := await stream.read(_CHUNK):
            kept = (kept + data)[-_KEPT:]
    return kept
