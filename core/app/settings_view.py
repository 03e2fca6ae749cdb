"""What ``edgeferry --config`` prints: the value of every option, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgeferry.app.settings import OWN_FILE, Settings, options_of
from edgeferry.devices.toml_tables import nearest
from edgeferry.errors import UsageError

Named = tuple[tuple[str, ...], Any]
"""A command's name, by its parts, and its context: its options are parsed, it is not run."""


def in_force(command: Any, arguments: Sequence[str], settings: Settings | None) -> str:
    """All that can be set, as TOML: each value with where it comes from.

    Args:
        command: The whole command line, as click has it.
        arguments: May name a command, to show only that, and give it options.
        settings: What the user's file sets.

    Raises:
        UsageError: If the settings cannot be meant, or there is no such command.
    """
    defaults = settings.defaults(command) if settings else None
    root = command.make_context("edgeferry", [], resilient_parsing=True, default_map=defaults)
    origins = {"COMMANDLINE": "command line", "DEFAULT_MAP": settings and settings.file.name}
    tables = [
        "\n".join([f"[{'.'.join(path)}]", *_lines(context, origins)])
        for path, context in _commands(root, arguments)
        if options_of(context.command)
    ]
    found = settings.file if settings else f"no {OWN_FILE}, no [tool.edgeferry], here or above"
    return "\n\n".join([f"# {found}", *tables])


def _commands(
    context: Any, arguments: Sequence[str], path: tuple[str, ...] = ()
) -> Iterator[Named]:
    """The command that the arguments name, or every one."""
    commands = getattr(context.command, "commands", None)
    if commands is None:
        yield path, context
        return
    name = next((each for each in arguments if not each.startswith("-")), None)
    if name is not None and name not in commands:
        raise UsageError(f"unknown command {name!r}; nearest: {nearest(name, commands)}")
    rest = arguments[arguments.index(name) + 1 :] if name else []
    for each in [name] if name else commands:
        told = {"parent": context, "resilient_parsing": True}
        inner = commands[each].make_context(each, list(rest), **told)
        yield from _commands(inner, rest, (*path, each))


def _lines(context: Any, origins: dict[str, Any]) -> Iterator[str]:
    for option in options_of(context.command).values():
        value = context.params[option.name]
        if value is None or value in ([], ()):
            yield f"# {option.key} is not set"
        else:
            source = context.get_parameter_source(option.name).name
            setting = f"{option.key} = {_toml(value)}"
            yield f"{setting:48}  # {origins.get(source, 'default')}"


def _toml(value: Any) -> str:
    import json

    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return json.dumps(str(value), ensure_ascii=False)
