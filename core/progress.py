"""How long-running work tells how far it is; the roof decides what to show."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, what is done of it, and the total (0: not known)."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
