"""What a target is: it makes inputs, and gives them to what reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random
from typing import ClassVar


class Target(ABC):
    """Something that takes in what others wrote.

    Args:
        artifacts: A folder of artifacts in every format, for targets that need some.
        scratch: An empty folder of its own, for what it makes before the first case.
    """

    full: ClassVar[int]
    """How many cases a full run has."""
    quick: ClassVar[int]
    """How many a short one has."""
    memory_mb: ClassVar[int]
    """By how much memory may grow in one case, MiB."""
    seconds: ClassVar[float] = 5.0
    """Processor time that a case may take; the process ends after that."""
    waiting: ClassVar[float] = 60.0
    """Seconds that it may wait for something, on a busy machine."""
    programs: ClassVar[bool] = False
    """Whether it may start other programs."""

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        self.artifacts = artifacts
        self.scratch = scratch

    @abstractmethod
    def make(self, random: Random, folder: Path) -> str:
        """Write the input of a case into a folder.

        Returns:
            What was done to it, in a few words.
        """

    @abstractmethod
    def run(self, folder: Path) -> None:
        """Take it in; what is written belongs below ``folder``.

        Raises:
            EdgeferryError: If it is refused, as most are.
        """
