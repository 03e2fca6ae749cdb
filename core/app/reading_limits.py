"""How much is read of what another made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeferry.errors import ArtifactError

MOST_FILES = 10_000
MOST_KEPT = 4 << 20
"""Bytes that are held in memory: of a file's content, or of an archive's directory."""
MOST_ROUNDS = 100
"""Of a benchmark: none has more, and of very many an interval would take minutes."""
CHUNK = 1 << 20
"""Bytes that are read at a time."""
_ALWAYS, _EXPANSION = 64 << 20, 20
"""Bytes that any archive may unpack to, and how many times its own size a larger one may."""


@dataclass
class Allowance:
    """Bytes that an archive may still unpack to."""

    left: int

    @classmethod
    def for_file(cls, path: Path) -> Allowance:
        """What an archive of its size may."""
        return cls(max(_ALWAYS, _EXPANSION * path.stat().st_size))

    def spend(self, chunk: bytes) -> bytes:
        """Take some bytes into account, and hand them on.

        Raises:
            ArtifactError: If it were more than may be.
        """
        self.left -= len(chunk)
        if self.left < 0:
            raise ArtifactError("it unpacks to far more than its size: a decompression bomb?")
        return chunk
