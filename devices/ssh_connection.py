"""An SSH connection and the programs on its other side, for callers that wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgeferry.devices.loop_thread import LoopThread
from edgeferry.devices.ssh_address import SshAddress
from edgeferry.devices.ssh_login import log_in
from edgeferry.errors import DeviceError, DeviceLostError, TimeLimitError

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess, SSHReader

T = TypeVar("T")
MARK = "edgeferry begins"
"""A line that tells what the user's shell prints at its start from what the program prints."""
_CHUNK = 1 << 16
_KEPT = 1 << 16
"""Bytes of standard error that are kept, the last ones."""


class SshConnection:
    """Made when first used, and again when used after it was lost.

    Args:
        name: What the user calls the device.
        address: Where it is.
    """

    def __init__(self, name: str, address: SshAddress) -> None:
        self.name = name
        self._address = address
        self._loop = LoopThread()
        self._connection: SSHClientConnection | None = None

    def open(self) -> None:
        """Connect, unless that is done.

        Raises:
            DeviceError: If it cannot be reached.
        """
        self.wait(self._opened())

    @contextlib.contextmanager
    def program(self, line: str, doing: str, seconds: float) -> Iterator[SshProgram]:
        """Start a program; it loses its standard input, at the latest, when the block ends.

        Args:
            line: For the user's shell; it prints ``MARK`` before anything of its own.
            doing: What it does, for messages.
            seconds: How long that may take.
        """
        process = self.wait(self._process(line))
        try:
            yield SshProgram(self, process, doing, seconds)
        finally:
            self._loop.call(process.channel.abort)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for what is done with the connection.

        Raises:
            DeviceLostError: If it is lost or closed meanwhile.
        """
        from asyncssh import ChannelOpenError, Error

        try:
            return self._loop.wait(work)
        except CancelledError:
            raise DeviceLostError(f"{self.name} was closed while it was in use") from None
        except ChannelOpenError as error:
            if self._connection is not None and not self._connection.is_closed():
                raise DeviceError(f"{self.name} runs no command: {error.reason}") from error
            raise self.lost(str(error)) from error
        except (Error, OSError) as error:
            raise self.lost(str(error)) from error

    def lost(self, reason: str) -> DeviceLostError:
        """The error for a connection that is gone."""
        return DeviceLostError(
            f"{self.name} was lost: {reason}", "Is it still on, and on the network?"
        )

    def close(self) -> None:
        """End the connection and whatever waits for it; may be called twice."""
        self._loop.close(self._close)

    async def _opened(self) -> SSHClientConnection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await log_in(self.name, self._address)
        return self._connection

    async def _process(self, line: str) -> SSHClientProcess[bytes]:
        connection = await self._opened()
        return await connection.create_process(line, encoding=None, request_pty=False)

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()


class SshProgram:
    """A program that runs on the other side.

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
        self._overdue = f"{doing} took more than {seconds:g} s on {connection.name}"
        self._seconds = seconds
        connection.wait(self._begin())

    def read(self) -> bytes:
        """The next piece of its standard output; empty at the end.

        Raises:
            TimeLimitError: If it took too long.
            DeviceLostError: If the device is lost.
        """
        return self._in_time(self._process.stdout.read(_CHUNK))

    def feed(self, source: Path) -> None:
        """Give it a file as standard input; one that ends early does not read the rest.

        Raises:
            OSError: If the file cannot be read.
        """
        with source.open("rb") as file, contextlib.suppress(BrokenPipeError):
            while chunk := file.read(_CHUNK):
                self._in_time(self._write(chunk))
            self._process.stdin.write_eof()

    def ending(self) -> tuple[int, str]:
        """Wait for its end; its exit code and what it complained of.

        Raises:
            TimeLimitError: If it took too long.
            DeviceLostError: If the device is lost.
        """
        return self._in_time(self._ending())
