"""How long-running work tells how far it is, and what it does; the roof decides what to show."""

import logging
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, what is done of it, and the total (0: not known)."""
_NOWHERE = logging.NullHandler()


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""


def logger(module: str) -> logging.Logger:
    """A module's logger, below ``edgeferry``: nothing is heard of it unless somebody listens.

    Args:
        module: Its ``__name__``.
    """
    logging.getLogger("edgeferry").addHandler(_NOWHERE)  # only once, though it is said often
    return logging.getLogger(module)
