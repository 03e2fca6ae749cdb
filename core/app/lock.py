"""One writer at a time: a lock beside what a command writes, which ends with its process."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO
from weakref import WeakSet

from edgeferry.errors import OutputError
from edgeferry.files import drop_unfinished
from edgeferry.streams import printable

Tell = Callable[[str], None]
"""Told a line that the user should see."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems answer that have no locks: some network shares."""
_LARGEST = 4096
"""Characters of a lock file that are read."""
_REMOVE = "If another user left that file and writes no more, remove it"
_held: WeakSet[TextIO] = WeakSet()


def _leave_to_parent() -> None:
    """In a child made by fork: a lock that both hold would outlive the one that writes."""
    for file in tuple(_held):
        file.close()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_leave_to_parent)


def unheard(message: str) -> None:
    """A ``Tell`` for where nobody listens."""


@contextmanager
def output_lock(output: Path, command: str, tell: Tell) -> Iterator[None]:
    """Hold the lock on a file or folder while the block runs.

    The kernel takes it back when the process ends, however it ends: a lock file that was left
    does no harm. Once it is held, the temporary files of dead runs are removed.

    Args:
        output: What is written; it need not be there yet.
        command: Who writes it, for others to be told.
        tell: Told where the file system has no locks; the work goes on then.

    Raises:
        OutputError: If another process holds it, or it cannot be put there.
    """
    path = hidden_beside(output, "lock")
    with ExitStack() as stack:
        try:
            file = _locked(path, stack)
        except BlockingIOError as error:
            raise _taken(output, path) from error
        except (ImportError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                reason = f"{error.strerror or error} ({path.name})"
                remedy = _REMOVE if isinstance(error, PermissionError) and path.exists() else ""
                raise OutputError(f"cannot write {output}: {reason}", remedy) from error
            path.unlink(missing_ok=True)
            tell(f"there are no locks at {output}: see that nothing else writes there meanwhile")
        else:
            stack.callback(path.unlink, missing_ok=True)  # while it is held, or it is another's
            file.write(json.dumps(_holder(command)))
            file.flush()
            drop_unfinished(output)
        yield


def hidden_beside(output: Path, kind: str) -> Path:
    """The path of a hidden companion of a file or folder, the same however that is spelled.

    It is on the same file system: beside the output, or in it where something is mounted there.
    """
    output = Path(os.path.realpath(output))
    folder = output if os.path.ismount(output) else output.parent
    return folder / f".{output.name}.{kind}"


def _locked(path: Path, stack: ExitStack) -> TextIO:
    """An empty file that holds the lock.

    One that its last holder removed after it was opened here keeps nobody out; the next may.

    Raises:
        BlockingIOError: If another process has it.
    """
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        file = stack.enter_context(os.fdopen(descriptor, "r+", encoding="utf-8"))
        _held.add(file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(file, path):
            file.truncate(0)
            return file
        file.close()


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _holder(command: str) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": command,
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _taken(output: Path, path: Path) -> OutputError:
    try:
        with path.open(encoding="utf-8") as file:
            who = _described(json.loads(file.read(_LARGEST)))
    except (OSError, KeyError, TypeError, ValueError):  # it has not said so yet
        who = "another process"
    remedy = "Wait until that has ended, or write to another place"
    return OutputError(f"{output} is being written by {who}", remedy)


def _described(holder: Mapping[str, object]) -> str:
    since = datetime.fromisoformat(str(holder["since"])).astimezone()
    today = since.date() == datetime.now().astimezone().date()
    when = since.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
    where = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
    told = f"edgeferry {holder['command']} (process {holder['pid']}{where}, since {when})"
    return printable(told)
