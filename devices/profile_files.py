"""Profiles and systems, read from the TOML files that hold them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from importlib.resources.abc import Traversable
from typing import Any

from edgeferry.contract import FORMATS
from edgeferry.devices.profile import Note, Profile, RuntimeSupport, System
from edgeferry.devices.toml_tables import TomlTable, read_toml
from edgeferry.errors import UsageError
from edgeferry.runtimes.registry import RUNTIMES

Pins = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Requirements by system and runtime."""

PINS = "pins.toml"
_ARCHITECTURES = ("aarch64", "x86_64")
_TARGETS = ("arm", "x86")
_SOURCES = ("https://", "edgeferry: ")
"""How a source starts: an address, or a choice of ours with its reason."""
_NO_FACTS = {"name", "title", "architecture", "systems", "runtimes", "notes", "sources"}


def read_profiles(folder: Traversable) -> tuple[Profile, ...]:
    """Every profile of a folder, sorted by name.

    Args:
        folder: Holds ``profiles/*.toml``, ``systems/*.toml`` and ``pins.toml``.

    Raises:
        UsageError: If a file is malformed, or a fact has no source.
    """
    systems = {system.name: system for system in read_systems(folder, read_pins(folder))}
    return tuple(
        _profile(name, TomlTable(content, f"profile {name}", _keys(Profile)), systems)
        for name, content in _contents(folder / "profiles")
    )


def read_systems(folder: Traversable, pins: Pins) -> tuple[System, ...]:
    """Every system of a folder, sorted by name.

    Raises:
        UsageError: If a file is malformed, or a fact has no source.
    """
    return tuple(
        _system(name, TomlTable(content, f"system {name}", _keys(System)), pins.get(name, {}))
        for name, content in _contents(folder / "systems")
    )


def read_pins(folder: Traversable) -> Pins:
    """The requirements that ``scripts/pin_devices.py`` wrote.

    Raises:
        UsageError: If the file is malformed.
    """
    content = read_toml(folder / PINS)
    table = TomlTable(content, PINS, content)
    return {system: _pins(table.take(system, dict)) for system in content}


def _pins(runtimes: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    table = TomlTable(runtimes, PINS, runtimes)
    return {name: table.several(name, str) for name in runtimes}


def _contents(folder: Traversable) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml"), read_toml(file)


def _keys(kind: type[Any]) -> tuple[str, ...]:
    """The keys of a file: the attributes, but for the name, which is the file's."""
    return tuple(each.name for each in fields(kind) if each.name != "name")


def _profile(name: str, table: TomlTable, systems: Mapping[str, System]) -> Profile:
    profile = Profile(
        name=name,
        title=table.take("title", str),
        architecture=_one_of(table, "architecture", _ARCHITECTURES),
        isa=table.take("isa", str),
        features=table.several("features", str),
        formats=_some_of(table, "formats", FORMATS),
        target=_one_of(table, "target", _TARGETS),
        systems=tuple(systems[each] for each in _some_of(table, "systems", systems)),
        core=table.maybe("core", str),
        cores=table.maybe("cores", int),
        clock_mhz=table.maybe("clock_mhz", int),
        memory_mib=table.several("memory_mib", int),
        threads=table.maybe("threads", int),
        emulated_cpu=table.maybe("emulated_cpu", str),
        notes=_notes(table),
        sources=_sources(table),
    )
    _check_sources(table, profile)
    return profile


def _system(name: str, table: TomlTable, pins: Mapping[str, tuple[str, ...]]) -> System:
    runtimes = table.maybe("runtimes", dict) or {}
    system = System(
        name=name,
        title=table.take("title", str),
        architecture=_one_of(table, "architecture", _ARCHITECTURES),
        libc=_matching(table, "libc", table.take("libc", str), r"glibc 2\.\d+|bionic"),
        python=_matching(table, "python", table.maybe("python", str) or "", r"(3\.\d+)?") or None,
        runtimes=tuple(
            _runtime(each, content, table.where, pins.get(each, ()))
            for each, content in runtimes.items()
        ),
        notes=_notes(table),
        sources=_sources(table),
    )
    _check_sources(table, system)
    return system


def _runtime(name: str, content: Any, where: str, pins: tuple[str, ...]) -> RuntimeSupport:
    keys = [key for key in _keys(RuntimeSupport) if key != "requirements"]
    table = TomlTable(content, f"{where}, runtime {name}", keys)
    try:
        RUNTIMES.entry(name)
    except UsageError as error:
        raise UsageError(f"{where}: {error.problem}") from error
    support = RuntimeSupport(
        name=name,
        package=table.take("package", str),
        source=_source(table, "source"),
        version=table.maybe("version", str),
        tag=table.maybe("tag", str),
        reason=table.maybe("reason", str),
        requirements=pins,
    )
    if (support.version, support.tag).count(None) != (2 if support.reason else 0):
        raise UsageError(f"{table.where}: give 'version' and 'tag', or else a 'reason'")
    return support


def _notes(table: TomlTable) -> tuple[Note, ...]:
    notes = (
        TomlTable(content, f"{table.where}, note", ("text", "source"))
        for content in table.several("notes", dict)
    )
    return tuple(Note(note.take("text", str), _source(note, "source")) for note in notes)


def _sources(table: TomlTable) -> dict[str, str]:
    content = table.maybe("sources", dict) or {}
    inner = TomlTable(content, f"{table.where}, sources", content)
    return {key: _source(inner, key) for key in content}


def _source(table: TomlTable, key: str) -> str:
    text = table.take(key, str)
    if not text.startswith(_SOURCES):
        raise UsageError(f"{table.where}: the source {text!r} is no https address")
    return text


def _check_sources(table: TomlTable, read: Profile | System) -> None:
    """Refuse facts without a source, and sources without a fact."""
    attributes = {each.name for each in fields(read)} - _NO_FACTS
    facts = {name for name in attributes if getattr(read, name) not in (None, ())}
    for name in sorted(facts ^ set(read.sources)):
        problem = "has no source" if name in facts else "is no fact, but has a source"
        raise UsageError(f"{table.where}: {name!r} {problem}")


def _one_of(table: TomlTable, key: str, known: Iterable[str]) -> str:
    value = table.take(key, str)
    _check_known(table, key, value, known)
    return value


def _some_of(table: TomlTable, key: str, known: Iterable[str]) -> tuple[str, ...]:
    values = table.several(key, str)
    if not values:
        raise UsageError(f"{table.where}: {key!r} is missing or empty")
    for value in values:
        _check_known(table, key, value, known)
    return values


def _matching(table: TomlTable, key: str, value: str, pattern: str) -> str:
    if not re.fullmatch(pattern, value):
        raise UsageError(f"{table.where}: {key!r} cannot be {value!r}")
    return value


def _check_known(table: TomlTable, what: str, value: str, known: Iterable[str]) -> None:
    if value not in (names := tuple(known)):
        raise UsageError(f"{table.where}: unknown {what} {value!r}; known: {', '.join(names)}")
