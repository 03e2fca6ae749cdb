"""Registries of plug-ins: names mapped to dotted paths, imported on first use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edgeferry.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True)
class Entry:
    """One plug-in.

    Attributes:
        target: ``package.module:Name``, imported on first use.
        requires: Distribution modules that must be importable for it to work.
        extra: The edgeferry extra that installs them.
        formats: Artifact formats it handles.
        suffixes: Of a format: those of its files, in lower case, the one that users name first.
        reader: Of a format: ``package.module:function`` that takes the path of a file and gives
            the contract in it as JSON, None where there is none; it raises ``ArtifactError`` for
            a damaged file, and uses none of the packages that are required.
        package: The distribution of another maker that brings it; filled in by the registry.
        problem: Why it cannot be used, whatever is installed; filled in by the registry.
    """

    target: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    formats: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    reader: str = ""
    package: str = ""
    problem: str = ""

    def missing(self) -> tuple[str, ...]:
        """Required modules that are not installed; probed without importing them."""
        return tuple(name for name in self.requires if not is_installed(name))


class Registry:
    """Plug-ins of one kind, with those of other packages added by entry points.

    One that cannot be loaded does no harm: its entry says why, and asking for it is an error.

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
        known: dict[str, Entry] = {}
        for name, entry in self.in_turn():
            known.setdefault(name, entry)
        return known

    def in_turn(self) -> Iterator[tuple[str, Entry]]:
        """Each entry with its name: other packages are asked once the built-in ones are told.

        Asking them takes tens of milliseconds, longer than most programs' other start.
        """
        yield from self._builtin.items()
        yield from self.plug_ins

    @cached_property
    def plug_ins(self) -> Sequence[tuple[str, Entry]]:
        """The entries of other packages with their names, in the order of these."""
        from importlib.metadata import entry_points

        found: list[tuple[str, Entry]] = []
        owners = dict.fromkeys(self._builtin, "edgeferry")
        for point in sorted(entry_points(group=self._group), key=lambda point: point.name):
            owner = owners.get(point.name)
            if owner is None:
                owners[point.name] = _package(point)
                found.append((point.name, _entry_of(point)))
            else:
                problem = f"{owner} has a {self.kind} of that name"
                found.append((point.name, _unusable(_package(point), problem)))
        return found

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UsageError: If there is none, or it cannot be loaded.
        """
        if name in self._builtin:
            return self._builtin[name]
        known = self.entries()
        if name not in known:
            raise UsageError(f"unknown {self.kind} {name!r}; known: {', '.join(known)}")
        if known[name].problem:
            raise self._error(name, known[name])
        return known[name]

    def load(self, name: str) -> Any:
        """Import and return the object that a name stands for.

        Raises:
            UsageError: If the name is unknown, or what another package brings cannot be loaded.
            MissingDependencyError: If a package it needs is not installed.
        """
        self.require(name)
        return self._imported(name, self.entry(name).target)

    def reader(self, name: str) -> Any:
        """Import and return what reads contracts, of a format; it requires no package.

        Raises:
            UsageError: If the name is unknown, or what another package brings cannot be loaded.
        """
        return self._imported(name, self.entry(name).reader)

    def require(self, name: str) -> None:
        """Make sure that a name is known and what it needs is installed, importing nothing.

        Raises:
            UsageError: If the name is unknown, or what another package brings cannot be loaded.
            MissingDependencyError: If a package it needs is not installed.
        """
        entry = self.entry(name)
        if missing := entry.missing():
            raise missing_dependency(f"the {self.kind} {name!r}", missing, entry.extra)

    def _imported(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:
            if name in self._builtin:
                raise
            broken = _unusable(self.entry(name).package, _described(error))
            raise self._error(name, broken) from error

    def _error(self, name: str, entry: Entry) -> UsageError:
        return UsageError(
            f"the {self.kind} {name!r} of {entry.package} cannot be used: {entry.problem}",
            f"Repair {entry.package}, or uninstall it",
        )


def _entry_of(point: "EntryPoint") -> Entry:
    """What an entry point holds, whatever it does when it is loaded."""
    package = _package(point)
    try:
        entry = point.load()
    except (Exception, SystemExit) as error:
        return _unusable(package, _described(error))
    if not isinstance(entry, Entry):
        return _unusable(package, f"{point.value} is no edgeferry.registry.Entry")
    return replace(entry, package=package)


def _package(point: "EntryPoint") -> str:
    return point.dist.name if point.dist else "a package"


def _unusable(package: str, problem: str) -> Entry:
    return Entry("", package=package, problem=problem)


def _described(error: BaseException) -> str:
    first_line, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first_line}"


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
