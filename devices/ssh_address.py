"""Addresses of devices that are reached by SSH."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from edgeferry.errors import UsageError

_FORM = re.compile(r"ssh://(?:([^@/]+)@)?(?:\[([^\]]+)\]|([^@:/\[\]]+))(?::(\d{1,5}))?/?")


@dataclass(frozen=True)
class SshAddress:
    """What a user writes; where a part is missing, ``~/.ssh/config`` says it.

    Attributes:
        host: Name or address of the host, or its alias in ``~/.ssh/config``.
        user: Who to be there.
        port: Where it listens.
    """

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, address: str) -> Self:
        """Read ``ssh://[user@]host[:port]``; an IPv6 address stands in brackets.

        Raises:
            UsageError: If it is of another form.
        """
        match = _FORM.fullmatch(address)
        if match is None:
            raise UsageError(f"{address!r} is not of the form ssh://user@host:port")
        user, bracketed, plain, port = match.groups()
        return cls(bracketed or plain, user, int(port) if port else None)

    @property
    def command(self) -> str:
        """How OpenSSH's client gets there."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{f'{self.user}@' if self.user else ''}{self.host}"
