"""Work in a process of its own: its memory and its engine's threads end with it."""

import os
import tempfile
from collections.abc import Callable
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from edgeferry.errors import EngineError, process_ending
from edgeferry.progress import Progress, logger

_log = logger(__name__)


def run_in_child(
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
    progress: Progress,
    what: str,
    seconds: float | None = None,
) -> Any:
    """Call a function in a new process and wait for it; it ends where this one does.

    Args:
        work: A module's function; its last parameter is a ``Progress``.
        arguments: The others; they and what it returns must pickle.
        progress: Told what the child tells.
        what: What the child does, for the message if it dies.
        seconds: How long it may say nothing; None is as long as it likes.

    Returns:
        What the function returns; what it raises is raised here.

    Raises:
        EngineError: If the process dies without a word, e.g. for want of memory, or says nothing
            for too long.
    """
    with tempfile.TemporaryDirectory(prefix="edgeferry-") as scratch:
        return _run(work, (arguments, scratch), progress, what, seconds)


def _run(
    work: Callable[..., Any],
    given: tuple[tuple[Any, ...], str],
    progress: Progress,
    what: str,
    seconds: float | None,
) -> Any:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work, *given), daemon=True)
    process.start()
    _log.info("process %s for %s started", process.pid, what)
    sender.close()
    try:
        return _listen(receiver, progress, seconds)
    except TimeoutError:
        raise EngineError(f"{what} took more than {seconds:g} s and was ended") from None
    except EOFError:
        process.join()
        ending = process_ending(process.exitcode or 0)
        raise EngineError(f"{what} ended early: its process died with {ending}") from None
    finally:
        process.terminate()
        process.join()
        _log.info("process %s for %s ended", process.pid, what)


def _listen(receiver: Connection, progress: Progress, seconds: float | None) -> Any:
    while True:
        if not receiver.poll(seconds):
            raise TimeoutError
        kind, content = receiver.recv()
        if kind == "progress":
            progress(*content)
        elif kind == "error":
            raise content
        else:
            return content


def _end_with_parent() -> None:
    """End at once when the process that waits for this one is gone, however that ended."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(
    sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], scratch: str
) -> None:
    os.environ["TMPDIR"] = scratch  # it may end before it has put things away
    Thread(target=_end_with_parent, daemon=True).start()

    def progress(step: str, done: int, total: int) -> None:
        sender.send(("progress", (step, done, total)))

    try:
        sender.send(("result", work(*arguments, progress)))
    except Exception as error:
        sender.send(("error", error))
