"""A Linux machine that is reached by SSH."""

from __future__ import annotations

import secrets
import shlex
import time
from pathlib import Path, PurePosixPath
from typing import ClassVar

from edgeferry.devices.device import Command, Completed, Device, DeviceSettings, Listener
from edgeferry.devices.guard import GRACE, TIME_UP, guarded
from edgeferry.devices.lines import Heard, lines_of
from edgeferry.devices.space import no_space
from edgeferry.devices.ssh_address import SshAddress
from edgeferry.devices.ssh_connection import SshConnection
from edgeferry.devices.ssh_program import MARK
from edgeferry.errors import DeviceError, TimeLimitError
from edgeferry.files import atomic_path

_FOLDER = ".cache/edgeferry"
_MARGIN = GRACE + 5
"""Seconds that the device has to tell that a command's time is up."""
_LONGEST_COPY = 3600
"""Seconds; a copy whose client is gone without the device knowing has to end at some time."""

# What was lost on its way is told by the size: where the connection breaks, input just ends.
_RECEIVE = """\
export LC_ALL=C
echo {mark}
mkdir -p {parent} &&
timeout {limit} cat >{temporary} &&
[ $(wc -c <{temporary}) -eq {size} ] &&
mv -f {temporary} {destination} &&
exit
rm -f {temporary}
df -Pk {parent} 2>/dev/null | tail -n 1
exit 1
"""
_SEND = """\
export LC_ALL=C
echo {mark}
exec timeout {limit} cat {source} </dev/null
"""


class SshDevice(Device):
    """Runs commands through the user's shell there; files go the same way.

    It needs no more than a shell and the usual small programs, be they GNU's or BusyBox's: no
    SFTP, which fails where a shell prints something when it starts.

    Args:
        settings: The address is ``ssh://user@host:port``; user, port, keys and the rest are
            ``~/.ssh/config``'s where it leaves them out, and host may be an alias of that.
            Its folder is ``.cache/edgeferry`` in the user's home unless one is named.

    Raises:
        UsageError: If the address is of another form.
    """

    transport: ClassVar[str] = "ssh"

    def __init__(self, settings: DeviceSettings) -> None:
        super().__init__(settings)
        self._folder = (settings.folder or _FOLDER).removeprefix("~/")
        self._connection = SshConnection(settings.name, SshAddress.parse(settings.address))

    @property
    def python(self) -> str:
        """A relative path is one from the user's home, not from the folder."""
        named = super().python
        is_relative = "/" in named and not named.startswith(("/", "~/"))
        return f"~/{named}" if is_relative else named

    def digest(self, name: str) -> str | None:
        ended = self._run(Command(["sha256sum", f"./{name}"], _LONGEST_COPY), None)
        if ended.code == 127:
            raise DeviceError(f"{self.name} has no program sha256sum")
        told = ended.stdout.split() if ended.code == 0 else []
        return told[0].removeprefix("\\") if told else None

    def close(self) -> None:
        self._connection.close()

    def _run(self, command: Command, listen: Listener | None) -> Completed:
        self._connection.open()
        started = time.monotonic()
        line = guarded(command, self._folder, beginning=f"echo {MARK}")
        limit = command.time_limit + _MARGIN
        heard = Heard()
        with self._connection.program(line, str(command), limit) as program:
            for text in lines_of(iter(program.read, b"")):
                (listen or heard.append)(text)
            code, stderr = program.ending()
        if code in TIME_UP and time.monotonic() - started >= command.time_limit:
            raise TimeLimitError(
                f"{command} took more than {command.time_limit:g} s on {self.name}"
            )
        return Completed(code, heard.text(), stderr)

    def _push(self, source: Path, name: str) -> None:
        size = source.stat().st_size
        destination = PurePosixPath(self._folder, name)
        temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}")
        line = _shell_line(
            _RECEIVE,
            parent=destination.parent,
            temporary=temporary,
            destination=destination,
            size=size,
        )
        with self._connection.program(line, f"sending {name}", _LONGEST_COPY) as program:
            program.feed(source)
            told = b"".join(iter(program.read, b"")).decode(errors="replace")
            code, complaint = program.ending()
        if code:
            raise self._not_received(name, size, told, complaint)

    def _not_received(self, name: str, size: int, told: str, complaint: str) -> DeviceError:
        free = told.split()[3:4]  # of what df tells
        if "No space left" in complaint and free and free[0].isdigit():
            return no_space(name, self.name, size, int(free[0]) * 1024)
        return DeviceError(f"{name} cannot be sent to {self.name}: {_reason(complaint)}")

    def _pull(self, name: str, destination: Path) -> None:
        line = _shell_line(_SEND, source=PurePosixPath(self._folder, name))
        doing = f"fetching {name}"
        with (
            atomic_path(destination) as temporary,
            temporary.open("wb") as file,
            self._connection.program(line, doing, _LONGEST_COPY) as program,
        ):
            for data in iter(program.read, b""):
                file.write(data)
            code, complaint = program.ending()
            if code:
                reason = _reason(complaint)
                raise DeviceError(f"{name} cannot be fetched from {self.name}: {reason}")


def _shell_line(script: str, **values: object) -> str:
    fixed = {"mark": MARK, "limit": _LONGEST_COPY}
    quoted = {key: shlex.quote(str(value)) for key, value in values.items()}
    return f"exec sh -c {shlex.quote(script.format(**fixed, **quoted))}"


def _reason(complaint: str) -> str:
    lines = complaint.strip().splitlines()
    return lines[-1] if lines else "it did not arrive whole"
