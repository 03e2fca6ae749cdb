"""The user's own defaults for options, in ``edgeferry.toml`` or in ``pyproject.toml``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from edgeferry.errors import UsageError

OWN_FILE, PROJECT_FILE = "edgeferry.toml", "pyproject.toml"
_OF_ONE_CALL = ("debug",)
"""Options that say something of one call only."""
_KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    Path: ("a path", (str,)),
    str: ("a text", (str, int, float)),
}
"""What an option's value is called, and what TOML may have in its place."""


@dataclass(frozen=True)
class Settings:
    """What a file sets.

    Attributes:
        file: Where it stands.
        tables: A table for each command, as they stand there.
    """

    file: Path
    tables: Any

    def defaults(self, command: Any) -> dict[str, Any]:
        """The settings as click's ``default_map``.

        Args:
            command: The whole command line, as click has it.

        Raises:
            UsageError: If a table, key or value cannot be meant.
        """
        path = ("tool", "edgeferry") if self.file.name == PROJECT_FILE else ()
        return self._defaults(self.tables, command, path)

    def spelled_out(self, command: Any, arguments: Sequence[str]) -> list[str]:
        """A command line with what it leaves to this file.

        Args:
            command: The whole command line, as click has it.
            arguments: What was given.
        """
        table = self.tables
        for each in arguments:
            if each in getattr(command, "commands", ()):
                command, table = command.commands[each], table.get(each, {})
        if hasattr(command, "commands"):
            return list(arguments)
        options = options_of(command)
        added: list[str] = []
        for key, value in table.items():
            option = options.get(key)
            if option is None or any(_is_given(each, arguments) for each in option.spellings):
                continue
            told = self._value(option, value, str(self.file))
            for each in told if isinstance(told, list) else [told]:
                added += [f"--{key}"] * (each is not False)
                added += [] if isinstance(each, bool) else [str(each)]
        return [*arguments, *added]

    def _defaults(self, table: Any, command: Any, path: tuple[str, ...]) -> dict[str, Any]:
        where = f"{self.file}, [{'.'.join(path)}]" if path else str(self.file)
        commands = getattr(command, "commands", None)
        if commands is not None:
            _check_names(table, commands, where, "table")
            return {
                name: self._defaults(inner, commands[name], (*path, name))
                for name, inner in table.items()
            }
        options = options_of(command)
        _check_names(table, options, where, "key")
        return {
            options[key].name: self._value(options[key], value, where)
            for key, value in table.items()
        }

    def _value(self, option: Option, value: Any, where: str) -> Any:
        """A setting as the command line would give it."""
        if option.repeats:
            several = value if isinstance(value, list) else [value]
            return [self._single(option, each, where) for each in several]
        if option.listed and isinstance(value, list):
            return ",".join(self._single(option, each, where) for each in value)
        return self._single(option, value, where)

    def _single(self, option: Option, value: Any, where: str) -> Any:
        what, kinds = _KINDS[option.kind]
        if type(value) not in kinds:
            raise UsageError(f"{where}: {option.key!r} has to be {what}, not {value!r}")
        if option.is_path and value != "-":
            return str(self.file.parent / os.path.expanduser(str(value)))
        return str(value) if option.kind is str else value


@dataclass(frozen=True)
class Option:
    """An option that can be set.

    Attributes:
        key: Its name on the command line, without dashes.
        spellings: All its names, with their dashes.
        name: Its parameter's.
        kind: One of ``_KINDS``.
        repeats: Whether it may be given several times.
        listed: Whether its text is a list with commas.
        is_path: Whether it names a file or folder of this machine.
    """

    key: str
    spellings: tuple[str, ...]
    name: str
    kind: type
    repeats: bool
    listed: bool
    is_path: bool


def find_settings(folder: Path | None = None) -> Settings | None:
    """The settings nearest to a folder, in it or above; ``edgeferry.toml`` before a project's.

    Args:
        folder: None is the working folder.

    Raises:
        UsageError: If the file cannot be read or is no TOML.
    """
    try:
        start = folder or Path.cwd()
    except FileNotFoundError:  # removed meanwhile: most commands work all the same
        return None
    for each in (start, *start.parents):
        for name in (OWN_FILE, PROJECT_FILE):
            if os.path.isfile(each / name) and (found := _read(each / name)) is not None:
                return found
    return None


def _read(file: Path) -> Settings | None:
    """What a file sets; None where it is not about edgeferry, or might be a stranger's."""
    from edgeferry.app.console import warn
    from edgeferry.devices.toml_tables import read_toml
    from edgeferry.progress import logger

    if file.name == PROJECT_FILE and not _mentions_us(file):
        return None
    if _may_be_strange(file):
        warn(f"{file} is not read: anyone could have put it there")
        return None
    tables: Any = read_toml(file)
    if file.name == PROJECT_FILE:
        tools = tables.get("tool")
        tables = tools.get("edgeferry") if isinstance(tools, dict) else None
    if tables is None:
        return None
    logger(__name__).info("settings of %s", file)
    return Settings(file, tables)


def _mentions_us(file: Path) -> bool:
    """Whether a project's file is worth parsing; most are not, and whole or broken is all one."""
    try:
        return b"edgeferry" in file.read_bytes()
    except OSError:
        return False


def _may_be_strange(file: Path) -> bool:
    """Whether a file lies where all may write, and is neither the user's nor root's.

    Settings may name a library that an engine loads: one in ``/tmp`` must not be anyone's.
    """
    if not hasattr(os, "geteuid") or not file.parent.stat().st_mode & stat.S_IWOTH:
        return False
    return file.stat().st_uid not in (0, os.geteuid())


def _check_names(table: Any, known: Iterable[str], where: str, what: str) -> None:
    from edgeferry.devices.toml_tables import nearest

    if not isinstance(table, dict):
        raise UsageError(f"{where} has to be a table, not {table!r}")
    for name in table:
        if name not in known:
            raise UsageError(f"{where}: unknown {what} {name!r}; nearest: {nearest(name, known)}")


def options_of(command: Any) -> dict[str, Option]:
    """What can be set of a command.

    Args:
        command: Of click, with no others in it.

    Returns:
        Its options by their names on the command line.
    """
    hints = get_type_hints(command.callback)
    options = [
        _option(each, hints[each.name])
        for each in command.params
        if each.param_type_name == "option" and each.name in hints.keys() - {*_OF_ONE_CALL}
    ]
    return {option.key: option for option in options}


def _is_given(spelling: str, arguments: Sequence[str]) -> bool:
    return any(each == spelling or each.startswith(f"{spelling}=") for each in arguments)


def _option(parameter: Any, hint: Any) -> Option:
    kind = _kind(hint)
    return Option(
        key=max(parameter.opts, key=len).lstrip("-"),
        spellings=tuple(parameter.opts),
        name=parameter.name,
        kind=kind if kind in _KINDS else str,
        repeats=parameter.multiple,
        listed=parameter.metavar == "LIST",
        is_path=kind is Path or parameter.metavar == "FILE",
    )


def _kind(hint: Any) -> Any:
    """The innermost type: ``int`` of ``list[int] | None``."""
    inner = [each for each in get_args(hint) if each is not NoneType]
    return _kind(inner[0]) if inner else hint
