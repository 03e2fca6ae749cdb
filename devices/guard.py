"""A command for a device's shell that ends by itself when its time, or its client, is gone."""

import shlex
from math import ceil

from edgeferry.devices.device import Command

TIMED_OUT = 124
"""Exit code of ``timeout`` for a command that took too long (GNU coreutils, BusyBox, toybox)."""
KILLED_LATE = 137
"""Its exit code for one that had to be killed."""
GRACE = 2
"""Seconds that a command has to end by itself."""

_SCRIPT = """\
mkdir -p {folder} && cd {folder} || exit 125
exec 3<&0
{assignments}timeout -k {grace} {limit} {command} </dev/null 3<&- &
child=$!
(cat >/dev/null; kill $child) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $child
code=$?
kill $watcher 2>/dev/null
"""


def guarded(command: Command, folder: str, ending: str = "exit $code") -> str:
    """A line for ``sh`` that runs a command in a folder, made if missing.

    The command gets an empty standard input. The shell's own is the lifeline: when it ends,
    the client is gone, and the command is ended; likewise when its time is up. ``timeout``
    passes the signal on to what the command started.

    Args:
        command: What to run.
        folder: Where; relative to where the shell starts, or absolute.
        ending: What the shell does last; ``$code`` is the command's exit code.
    """
    assignments = "".join(
        f"{name}={shlex.quote(value)} " for name, value in command.environment.items()
    )
    script = _SCRIPT.format(
        folder=shlex.quote(folder),
        assignments=assignments,
        grace=GRACE,
        limit=max(1, ceil(command.time_limit)),
        command=shlex.join(command.arguments),
    )
    return f"exec sh -c {shlex.quote(script + ending)}"
