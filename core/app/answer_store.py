"""Answers kept in a file, so that memory does not grow with the number of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeferry.app.accuracy import Probabilities

_BYTES = np.dtype(np.float32).itemsize


class AnswerStore:
    """Probabilities by the picture's position.

    Plain reads and writes: the pages of a memory map would count as this process's memory.

    Args:
        path: The file; one that is there is emptied.
        classes: Probabilities for each picture.
    """

    def __init__(self, path: Path, classes: int) -> None:
        self._path, self._classes = path, classes
        path.write_bytes(b"")

    def write(self, positions: Sequence[int], probabilities: Probabilities) -> None:
        """Keep a batch, float32 ``[N, classes]``."""
        with self._path.open("r+b") as file:
            for position, row in zip(positions, probabilities, strict=True):
                file.seek(position * self._classes * _BYTES)
                file.write(row.astype(np.float32).tobytes())

    def read(self, positions: Sequence[int]) -> Probabilities:
        """What was kept of some pictures, float32 ``[N, classes]``."""
        rows = []
        with self._path.open("rb") as file:
            for position in positions:
                file.seek(position * self._classes * _BYTES)
                rows.append(np.frombuffer(file.read(self._classes * _BYTES), np.float32))
        return np.stack(rows)
