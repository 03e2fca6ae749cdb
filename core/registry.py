"""Registries of plug-ins: names mapped to dotted paths, imported on first use."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from edgeferry.errors import MissingDependencyError, UsageError


@dataclass(frozen=True)
class Entry:
    """One plug-in.

    Attributes:
        target: ``package.module:Name``, imported on first use.
        requires: Distribution modules that must be importable for it to work.
        extra: The edgeferry extra that installs them.
        formats: Artifact formats it handles.
    """

    target: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    formats: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """Required modules that are not installed; probed without importing them."""
        return tuple(name for name in self.requires if not is_installed(name))


class Registry:
    """Plug-ins of one kind, with third parties' added by entry points.

    Args:
        kind: What they are, for messages, e.g. ``runtime``.
        group: Entry-point group; an entry point's object is an ``Entry``.
        entries: The built-in ones, in order of preference.
    """

    def __init__(self, kind: str, group: str, entries: dict[str, Entry]) -> None:
        self.kind = kind
        self._group = group
        self._builtin = entries

    def entries(self) -> dict[str, Entry]:
        """Every known entry by name, built-in ones first."""
        return dict(self.in_turn())

    def in_turn(self) -> Iterator[tuple[str, Entry]]:
        """Each entry with its name: third parties are asked once the built-in ones are told.

        Asking them takes tens of milliseconds, longer than most programs' other start.
        """
        yield from self._builtin.items()
        from importlib.metadata import entry_points

        for point in entry_points(group=self._group):
            yield point.name, point.load()

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UsageError: If there is none.
        """
        if name in self._builtin:
            return self._builtin[name]
        known = self.entries()
        if name not in known:
            raise UsageError(f"unknown {self.kind} {name!r}; known: {', '.join(known)}")
        return known[name]

    def load(self, name: str) -> Any:
        """Import and return the object that a name stands for.

        Raises:
            UsageError: If the name is unknown.
            MissingDependencyError: If a package it needs is not installed.
        """
        self.require(name)
        module, _, attribute = self.entry(name).target.partition(":")
        return getattr(import_module(module), attribute)

    def require(self, name: str) -> None:
        """Make sure that a name is known and what it needs is installed, importing nothing.

        Raises:
            UsageError: If the name is unknown.
            MissingDependencyError: If a package it needs is not installed.
        """
        entry = self.entry(name)
        if missing := entry.missing():
            raise missing_dependency(f"the {self.kind} {name!r}", missing, entry.extra)


def is_installed(module: str) -> bool:
    """Whether a module could be imported, without importing it or its parents' children."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missing_dependency(what: str, modules: tuple[str, ...], extra: str) -> MissingDependencyError:
    """The error for something that needs packages which are not installed."""
    remedy = f"pip install 'edgeferry[{extra}]'" if extra else f"pip install {' '.join(modules)}"
    return MissingDependencyError(f"{what} needs {', '.join(modules)}: not installed here", remedy)
