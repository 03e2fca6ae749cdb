"""Engines and ``os.fork``: the child gets their memory, but none of their threads."""

import ctypes
import os
from typing import Any, Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What must not be used in a child of the process that made it."""

    def leave_behind(self) -> None:
        """Called in the child, before anything else there runs."""


_watched: WeakSet[Forkable] = WeakSet()


def watch(each: Forkable) -> None:
    """See to it that each child is told."""
    _watched.add(each)


def never_free(each: Any) -> None:
    """Keep an object for good: what waits for its threads when freed would wait forever."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _in_child() -> None:
    for each in tuple(_watched):
        each.leave_behind()
    _watched.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
