"""Strict reading of TOML files: what is missing, misspelled or of the wrong kind is said."""

import difflib
import tomllib
from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from edgeferry.errors import UsageError

Value = TypeVar("Value", str, int, dict[str, Any])

_KINDS = {str: "a text", int: "a whole number", dict: "a table"}


def read_toml(file: Path | Traversable) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UsageError: If it cannot be read or is no TOML; the line is named.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file} is no valid TOML: {error}") from error
    except RecursionError:
        raise UsageError(f"{file} holds tables or lists too deep in each other") from None


class TomlTable:
    """One table of a TOML file, whose keys are known.

    Args:
        content: What it holds.
        where: The file, and the table in it, for messages.
        known: Every key that it may have.

    Raises:
        UsageError: If it is no table, or has a key that is not known.
    """

    def __init__(self, content: Any, where: str, known: Iterable[str]) -> None:
        if not isinstance(content, dict):
            raise UsageError(f"{where} has to be a table")
        names = tuple(known)
        for key in content:
            if key not in names:
                raise UsageError(f"{where}: unknown key {key!r}", f"Known: {', '.join(names)}")
        self._content = content
        self.where = where

    def take(self, key: str, kind: type[Value]) -> Value:
        """The value of a key that has to be there.

        Raises:
            UsageError: If it is missing or of another kind.
        """
        value = self.maybe(key, kind)
        if value is None:
            raise UsageError(f"{self.where}: {key!r} is missing")
        return value

    def maybe(self, key: str, kind: type[Value]) -> Value | None:
        """The value of a key, None where it is not there.

        Raises:
            UsageError: If it is of another kind.
        """
        value = self._content.get(key)
        return None if value is None else self._checked(key, value, kind)

    def several(self, key: str, kind: type[Value]) -> tuple[Value, ...]:
        """The values of a list, empty where it is not there.

        Raises:
            UsageError: If it is no list, or one of them is of another kind.
        """
        values = self._content.get(key, [])
        if not isinstance(values, list):
            raise UsageError(f"{self.where}: {key!r} has to be a list")
        return tuple(self._checked(key, value, kind) for value in values)

    def _checked(self, key: str, value: Any, kind: type[Value]) -> Value:
        if type(value) is not kind:
            raise UsageError(f"{self.where}: {key!r} has to be {_KINDS[kind]}, not {value!r}")
        return value


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names that are most like one; all of them where none is."""
    names = tuple(known)
    return ", ".join(difflib.get_close_matches(name, names) or names)
