"""Work in a process of its own: its memory and its engine's threads end with it."""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from edgeferry.errors import EngineError, process_ending
from edgeferry.progress import Progress, logger

_log = logger(__name__)


def run_in_child(
    work: Callable[..., Any], arguments: tuple[Any, ...], progress: Progress, what: str
) -> Any:
    """Call a function in a new process and wait for it.

    Args:
        work: A module's function; its last parameter is a ``Progress``.
        arguments: The others; they and what it returns must pickle.
        progress: Told what the child tells.
        what: What the child does, for the message if it dies.

    Returns:
        What the function returns; what it raises is raised here.

    Raises:
        EngineError: If the process dies without a word, e.g. for want of memory.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, arguments, sender), daemon=True)
    process.start()
    _log.info("process %s for %s started", process.pid, what)
    sender.close()
    try:
        return _listen(receiver, progress)
    except EOFError:
        process.join()
        ending = process_ending(process.exitcode or 0)
        raise EngineError(f"{what} ended early: its process died with {ending}") from None
    finally:
        process.terminate()
        process.join()
        _log.info("process %s for %s ended", process.pid, what)


def _listen(receiver: Connection, progress: Progress) -> Any:
    while True:
        kind, content = receiver.recv()
        if kind == "progress":
            progress(*content)
        elif kind == "error":
            raise content
        else:
            return content


def _work(work: Callable[..., Any], arguments: tuple[Any, ...], sender: Connection) -> None:
    def progress(step: str, done: int, total: int) -> None:
        sender.send(("progress", (step, done, total)))

    try:
        sender.send(("result", work(*arguments, progress)))
    except Exception as error:
        sender.send(("error", error))
