"""An SSH connection for callers that wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from edgeferry.devices.loop_thread import LoopThread
from edgeferry.devices.ssh_address import SshAddress
from edgeferry.devices.ssh_login import log_in
from edgeferry.devices.ssh_program import SshProgram
from edgeferry.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess

T = TypeVar("T")
_FAREWELL = 1
"""Seconds for closing."""


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
        self._closed = False

    def open(self) -> None:
        """Connect, unless that is done.

        Raises:
            DeviceError: If it cannot be reached.
        """
        self.wait(self._opened())

    @contextlib.contextmanager
    def program(self, line: str, doing: str, seconds: float) -> Iterator[SshProgram]:
        """Start a program; its standard input ends, at the latest, when the block ends.

        Args:
            line: For the user's shell; it prints ``MARK`` before anything of its own.
            doing: What it does, for messages.
            seconds: How long that may take.

        Raises:
            DeviceError: If it cannot be started.
        """
        process = self.wait(self._process(line))
        try:
            program = SshProgram(self, process, doing, seconds)
            program.begin()
            yield program
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
            raise self.lost("") from None
        except ChannelOpenError as error:
            if self._connection is not None and not self._connection.is_closed():
                raise DeviceError(f"{self.name} runs no command: {error.reason}") from error
            raise self.lost(str(error)) from error
        except (Error, OSError) as error:
            raise self.lost(str(error)) from error

    def lost(self, reason: str) -> DeviceLostError:
        """The error for a connection that is gone."""
        if self._closed:
            return DeviceLostError(f"{self.name} was closed while it was in use")
        return DeviceLostError(
            f"{self.name} was lost: {reason}", "Is it still on, and on the network?"
        )

    def close(self) -> None:
        """End the connection and whatever waits for it; may be called twice."""
        self._closed = True
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
            with contextlib.suppress(TimeoutError):  # of a jump host that does not answer
                async with asyncio.timeout(_FAREWELL):
                    await self._connection.wait_closed()
