"""What the user sees: tables, progress bars, the log if asked, and no chatter of the engines."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from edgeferry.progress import Progress

PLAIN_WIDTH = 200
"""Columns where the output is no terminal, wide enough that no table is cut."""
LOG_LINE = "{relativeCreated:8.0f} ms  {name}: {message}"
"""A line of the log; the time is since its beginning."""


def show(*renderables: RenderableType, quiet_stdout: bool = False) -> None:
    """Print tables and texts to standard output.

    Args:
        renderables: What to print.
        quiet_stdout: Print to standard error, since standard output is for JSON.
    """
    _console(sys.stderr if quiet_stdout else sys.stdout).print(*renderables, sep="\n")


def warn(message: str) -> None:
    """Print one line to standard error."""
    print(f"edgeferry: {message}", file=sys.stderr)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error for each step under way; nothing where that is no terminal."""
    from edgeferry.progress import silent

    if not sys.stderr.isatty():
        yield silent
        return
    from rich import progress as rich_progress
    from rich.progress import TextColumn

    bars = rich_progress.Progress(
        TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        TextColumn("left"),
        rich_progress.TimeRemainingColumn(),
        console=_console(sys.stderr),
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=None)
        finished = 0 < total <= done
        bars.update(tasks[step], completed=done, total=total or None, visible=not finished)

    with bars:
        yield report


@contextmanager
def log_shown(verbosity: int) -> Iterator[None]:
    """Print edgeferry's log to standard error.

    Args:
        verbosity: 1 for what is done, more for the details.
    """
    import logging

    log = logging.getLogger("edgeferry")
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(logging.Formatter(LOG_LINE, style="{"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class _StandardError:
    """Standard error as it is at the time: ``engine_chatter`` and progress bars replace it."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def engine_chatter(shown: bool) -> Iterator[None]:
    """Keep what native libraries print to the terminal away from the user.

    TensorFlow and others write to the file descriptors themselves, past Python; so the
    descriptors are pointed away, and Python's own streams at copies of the old ones.
    Children inherit this.

    Args:
        shown: Let everything through.
    """
    if shown:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            stack.enter_context(_detached(name, descriptor))
        yield


@contextmanager
def _detached(name: str, descriptor: int) -> Iterator[None]:
    stream: TextIO = getattr(sys, name)
    stream.flush()
    kept = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
    ours = None
    if _descriptor_of(stream) == descriptor:
        # By lines: a warning that comes before minutes of work must be seen before it.
        ours = os.fdopen(kept, "w", 1, stream.encoding, stream.errors, closefd=False)
        setattr(sys, name, ours)
    try:
        yield
    finally:
        if ours is not None:
            ours.close()
            setattr(sys, name, stream)
        os.dup2(kept, descriptor)
        os.close(kept)


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, AttributeError, ValueError):
        return None


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(
        file=stream,
        width=None if stream.isatty() else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
