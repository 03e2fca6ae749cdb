"""How many inferences of an engine are under way where threads share it."""

from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any

from edgeferry.threads import physical_cores


def inferences_at_once() -> int:
    """One for each core, and one that is there when another ends: threads of Python wake late."""
    return physical_cores() + 1


def turns_of(count: int) -> AbstractContextManager[Any]:
    """A semaphore that is entered and left by C alone: no error of a signal's handler loses a turn.

    ``with`` calls the methods of a queue, which holds an item for each turn that is free.
    """
    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(count):
        free.put(None)
    methods = {"__enter__": staticmethod(free.get), "__exit__": staticmethod(free.put)}
    turns: AbstractContextManager[Any] = type("Turns", (), methods)()
    return turns
