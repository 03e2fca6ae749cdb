"""The frame that every command works in: what is shown, what is written, the exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.errors import OutputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgeferry.progress import Progress


ARGUMENTS: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())
"""The command line that is being worked on."""


@contextmanager
def session(json: str | None, debug: bool) -> Iterator[Progress]:
    """Let a command work with a progress bar, and the engines silent unless debugging.

    Raises:
        OutputError: If the folder for the JSON file is missing: said before the work, not after.
    """
    from edgeferry.app.console import engine_chatter, progress_bar

    _check_folder(json)
    with engine_chatter(shown=debug), progress_bar() as progress:
        yield progress


@contextmanager
def json_lock(json: str | None, command: str) -> Iterator[Path | None]:
    """Keep others from writing to the JSON file, from the work to the delivery of what was found.

    Gives:
        The file; None where there is none.

    Raises:
        OutputError: If another process writes it, or its folder is missing.
    """
    _check_folder(json)
    if json in (None, "-") or (os.path.exists(json) and not os.path.isfile(json)):
        yield None
        return
    from edgeferry.app.console import warn
    from edgeferry.app.lock import output_lock

    with output_lock(Path(json), command, warn):
        yield Path(json)


def _check_folder(json: str | None) -> None:
    if json not in (None, "-") and not Path(json).parent.is_dir():
        raise OutputError(f"cannot write {json}: there is no folder {Path(json).parent}")


def deliver(
    document: Mapping[str, Any],
    json: str | None,
    shown: Sequence[RenderableType],
    warnings: Sequence[str] = (),
    failures: Mapping[str, str] | None = None,
) -> None:
    """Show and write what a command found.

    Args:
        document: What ``--json`` writes.
        json: Where to; None is nowhere, ``-`` standard output.
        shown: Tables and texts for humans.
        warnings: Told on standard error.
        failures: What failed, by name; told likewise.

    Raises:
        typer.Exit: With code 1, if something failed.
    """
    import typer

    from edgeferry.app.console import show, warn
    from edgeferry.app.results import write_document

    if shown:
        show(*shown, quiet_stdout=json == "-")
    if json:
        write_document(_with_arguments(document), json)
    for message in warnings:
        warn(message)
    for name, problem in (failures or {}).items():
        warn(f"{name} failed: {problem}")
    if failures:
        raise typer.Exit(1)


def _with_arguments(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the command line that gave it, so that it can be had again."""
    return {**document, "tool": {**document["tool"], "arguments": list(ARGUMENTS.get())}}
