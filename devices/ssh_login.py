"""Logging in by SSH, as ``~/.ssh`` says; what goes wrong is told with its way out."""

from __future__ import annotations

import asyncio
import errno
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgeferry.devices.ssh_address import SshAddress
from edgeferry.errors import DeviceError

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

SECONDS_TO_CONNECT = 10
_KEEPALIVE = 2
"""Seconds of silence after which the device is asked for a sign of life."""
_UNANSWERED = 2
"""Signs of life it may owe; the next time round it is lost."""
_HOST_KEYS = "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
rsa-sha2-512,rsa-sha2-256"
"""Kinds of host keys, after those that are known of the host: one of another kind is a changed one,
while asyncssh by itself would find no kind in common."""
_USUAL_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


class KnownHosts:
    """The host keys that this user trusts; notes whether one is of the host asked for.

    Args:
        files: Where they are listed; those that do not exist hold none.
    """

    def __init__(self, files: Sequence[str]) -> None:
        from asyncssh import read_known_hosts

        paths = [Path(file).expanduser() for file in files]
        self._hosts = read_known_hosts([str(path) for path in paths if path.is_file()])
        self.knows = False

    def __call__(self, host: str, addr: str, port: int | None) -> Any:
        """What asyncssh asks for once it has reached a host."""
        # Those known for the usual port are trusted on others too, but may rightly be different.
        names = [f"[{name}]:{port}" if port else name for name in (host, addr) if name]
        self.knows = any(self._keys(name) for name in names)
        return self._hosts.match(host, addr, port)

    def _keys(self, name: str) -> list[Any]:
        keys, _, revoked, *_ = self._hosts.match(name, "", None)
        return [*keys, *revoked]


@dataclass(frozen=True)
class _Attempt:
    """A login, for telling why it failed.

    Attributes:
        name: What the user calls the device.
        address: As the user wrote it.
        host: What that means after ``~/.ssh/config``.
        port: Likewise.
        user: Likewise.
        files: The user's own known_hosts files; empty for the usual ones.
        known: The host keys that are trusted.
    """

    name: str
    address: SshAddress
    host: str
    port: int
    user: str
    files: Sequence[str]
    known: KnownHosts

    def explain(self, error: Exception) -> DeviceError:
        """The error for the user."""
        import asyncssh

        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._host_key_error(error)
        if isinstance(error, asyncssh.PermissionDenied):
            return DeviceError(
                f"{self.name} lets {self.user} in with none of the keys at hand",
                "Send one with ssh-copy-id; one with a passphrase has to be in ssh-agent. "
                f"Try: {self.address.command}",
            )
        return DeviceError(f"{self.name} cannot be reached: {self._reason(error)}", self._remedy)

    def _reason(self, error: Exception) -> str:
        where = f"{self.host} port {self.port}"
        if isinstance(error, socket.gaierror):
            return f"there is no host {self.host}"
        if isinstance(error, TimeoutError):
            return f"{where} did not answer within {SECONDS_TO_CONNECT} s"
        # With several addresses, asyncio puts their errors into the text of one.
        if f"[Errno {errno.ECONNREFUSED}]" in str(error):
            return f"{where} refuses connections"
        return f"{where}: {_first_line(error)}"

    @property
    def _remedy(self) -> str:
        return f"Is it on, does it run an SSH server, and does this work: {self.address.command}"

    def _host_key_error(self, error: Exception) -> DeviceError:
        """Tell a host never seen from one that has another key than before."""
        if self.known.knows:
            return DeviceError(
                f"BEWARE: {self.name} ({self.host}) shows another host key than the one known: "
                "it was set up anew, or somebody is in between",
                f"Only if you know why: {self._forget}; then as for a new host: "
                f"{self.address.command}",
            )
        if self.host not in str(error):  # it is a jump host's key
            return DeviceError(f"{self.name} cannot be reached: {error}", self._remedy)
        return DeviceError(
            f"the host key of {self.name} ({self.host}) is not known here",
            f"Connect once and compare its fingerprint: {self.address.command}; "
            f"or add to known_hosts what this tells: ssh-keyscan -p {self.port} {self.host}",
        )

    @property
    def _forget(self) -> str:
        host = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        file = f" -f {shlex.quote(self.files[0])}" if self.files else ""
        return f"ssh-keygen -R {shlex.quote(host)}{file}"


async def log_in(name: str, address: SshAddress) -> SSHClientConnection:
    """Connect to a device; keys, agent, ``ProxyJump`` and so on are as ``~/.ssh/config`` says.

    Args:
        name: What the user calls it.
        address: Where it is.

    Raises:
        DeviceError: If that fails, within ``SECONDS_TO_CONNECT`` at the latest.
    """
    import asyncssh

    try:
        options = asyncssh.SSHClientConnectionOptions(
            host=address.host,
            port=address.port or (),
            username=address.user or (),
            config=(),  # ~/.ssh/config
            keepalive_interval=_KEEPALIVE,
            keepalive_count_max=_UNANSWERED,
        )
        files = cast(Sequence[str], options.known_hosts or ())
        known = KnownHosts(files or _USUAL_FILES)
    except (OSError, ValueError) as error:
        problem = f"the settings for {name} in ~/.ssh cannot be used: {_first_line(error)}"
        raise DeviceError(problem) from error
    attempt = _Attempt(name, address, options.host, options.port, options.username, files, known)
    try:
        async with asyncio.timeout(SECONDS_TO_CONNECT):
            return await asyncssh.connect(
                address.host,
                address.port or (),
                options=options,
                known_hosts=known,
                server_host_key_algs=options.config.get("HostKeyAlgorithms") or _HOST_KEYS,
            )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise attempt.explain(error) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
