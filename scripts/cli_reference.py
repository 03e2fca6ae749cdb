"""Every command with its arguments and options, as Markdown, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from edgeferry.app.cli import app

NAME = "edgeferry"


def commands() -> Iterator[tuple[str, Any]]:
    """Each command's words, e.g. ``devices add``, and what typer makes of it."""
    yield from _below("", typer.main.get_command(app))


def cli_reference() -> str:
    """One section for each command."""
    return "\n".join(_section(words, command) for words, command in commands() if words)


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield from _below(f"{words} {name}".strip(), each)


def _section(words: str, command: Any) -> str:
    heading = f"## `{NAME} {words}`\n\n{command.help}\n"
    if hasattr(command, "commands"):
        return heading
    usage = " ".join([NAME, words, *_usage(command)])
    rows = [_row(parameter) for parameter in command.params if not parameter.hidden]
    table = ["| | |", "|---|---|", *rows]
    return f"{heading}\n```text\n{usage}\n```\n\n" + "\n".join(table) + "\n"


def _usage(command: Any) -> Iterator[str]:
    """Arguments, options that must be given, and whether there are others."""
    for each in command.params:
        if each.param_type_name == "argument":
            yield _value(each)
        elif each.required:
            yield f"{each.opts[-1]} {_value(each)}"
    if any(not each.required for each in command.params):
        yield "[OPTIONS]"


def _row(parameter: Any) -> str:
    name = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
    value = "" if getattr(parameter, "is_flag", False) else _value(parameter)
    text = (parameter.help or "").rstrip()
    told = " ".join(filter(None, [_cell(text), _notes(parameter)]))
    return f"| `{_cell(f'{name} {value}'.strip())}` | {told} |"


def _notes(parameter: Any) -> str:
    default = parameter.default
    told = [
        "required" if parameter.required else "",
        "may be given several times" if parameter.multiple else "",
        "" if default in (None, False, "", ()) else f"default: `{default}`",
    ]
    notes = "; ".join(filter(None, told))
    return f"*({notes})*" if notes else ""


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.rpartition("_")[2].upper())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(cli_reference())
