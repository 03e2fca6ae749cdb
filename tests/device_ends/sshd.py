"""A real OpenSSH server on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_ends.processes import descendants, name_of, wait_until
from edgeferry.devices.device import DeviceSettings

if TYPE_CHECKING:
    from asyncssh import SSHKey

ALIAS = "edge"
USER = pwd.getpwuid(os.getuid()).pw_name
SHELL = pwd.getpwuid(os.getuid()).pw_shell
SERVER_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
SetEnv HOME={folder}/device
ForceCommand exec sh {folder}/forced
"""
CLIENT_CONFIG = """\
Host {alias}
    HostName 127.0.0.1
    Port {port}
    User {user}
"""


class OpensshServer:
    """A machine to log in to, whose home folder is its own; a context manager.

    Attributes:
        port: Where it listens.
        home: The home folder there.
        client: ``.ssh`` of a client that it lets in and that knows it, as ``edge``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.home = folder / "device"
        self.client = folder / "client" / ".ssh"
        self.home.mkdir()
        self.client.mkdir(parents=True)
        self._make_keys()
        config = SERVER_CONFIG.format(port=self.port, folder=folder)
        (folder / "sshd_config").write_text(config)
        alias = CLIENT_CONFIG.format(alias=ALIAS, port=self.port, user=USER)
        (self.client / "config").write_text(alias)
        self.wrap("")

    @property
    def settings(self) -> DeviceSettings:
        """It as a device."""
        return DeviceSettings(ALIAS, f"ssh://{ALIAS}", python=sys.executable)

    def wrap(self, before: str) -> None:
        """Have shell text run before whatever a client asks for."""
        script = f'cd "$HOME" || exit\n{before}\nexec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"\n'
        (self._folder / "forced").write_text(script)

    def know(self, key: str) -> None:
        """Have the client know a public key, in OpenSSH's form, as the server's."""
        (self.client / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}\n")

    def sessions(self) -> list[int]:
        """Processes of the server that serve one client each."""
        assert self._process is not None
        return [pid for pid in descendants(self._process.pid) if name_of(pid)[:4] == "sshd"]

    def __enter__(self) -> OpensshServer:
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if program is None:
            pytest.skip("openssh-server is not installed")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where its unprivileged half is confined
        arguments = [program, "-D", "-f", self._folder / "sshd_config", "-E", self._folder / "log"]
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
        wait_until(self._listens, "sshd does not listen")
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _make_keys(self) -> None:
        own, host = new_key(), new_key()
        own.write_private_key(self.client / "id_ed25519")
        (self._folder / "authorized_keys").write_bytes(own.export_public_key())
        host.write_private_key(self._folder / "host_key")
        for private in (self.client / "id_ed25519", self._folder / "host_key"):
            private.chmod(0o600)
        self.know(host.export_public_key().decode().strip())

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


def new_key(kind: str = "ssh-ed25519") -> SSHKey:
    """A new private key."""
    import asyncssh

    return asyncssh.generate_private_key(kind)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
