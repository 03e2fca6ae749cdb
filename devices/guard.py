"""A command for a device's shell that ends by itself when its time, or its client, is gone."""

import shlex
from math import ceil

from edgeferry.devices.device import Command

TIMED_OUT = 124
"""Exit code of ``timeout`` for a command that took too long (GNU coreutils, toybox)."""
KILLED_LATE = 137
"""Its exit code for one that had to be killed."""
TIME_UP = (TIMED_OUT, KILLED_LATE, 143)
"""Exit codes of a command that its time limit ended; BusyBox gives that of SIGTERM. A command may
have one for another reason, so the time that it took has to tell too."""
NO_FOLDER = 125
"""Exit code where the folder cannot be made or entered; ``beginning`` was not reached."""
GRACE = 2
"""Seconds that a command has to end by itself."""

# At last the shell's own complaints go nowhere: with the client gone they would end it too early.
_SCRIPT = """\
home=$PWD
mkdir -p {folder} && cd {folder} || exit {no_folder}
{beginning}
exec 3<&0
{assignments}$(command -v setsid) timeout -k {grace} {limit} {command} </dev/null 3<&- &
child=$!
(while read -r _; do :; done; kill $child; sleep {grace}; kill -KILL -$child) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&- 2>/dev/null
wait $child
code=$?
kill $watcher
kill -KILL -$child
"""


def guarded(command: Command, folder: str, ending: str = "exit $code", beginning: str = ":") -> str:
    """A line for ``sh`` that runs a command in a folder, made if missing.

    The command gets an empty standard input. The shell's own is the lifeline: when it ends,
    the client is gone, and the command is ended; likewise when its time is up. What the
    command started is ended with it: its processes are a group, which is killed at last.

    Args:
        command: What to run; a program ``~/NAME`` is looked for where the shell starts.
        folder: Where; relative to where the shell starts, or absolute.
        ending: What the shell does last; ``$code`` is the command's exit code.
        beginning: What it does once it is in the folder.
    """
    assignments = "".join(
        f"{name}={shlex.quote(value)} " for name, value in command.environment.items()
    )
    script = _SCRIPT.format(
        folder=shlex.quote(folder),
        no_folder=NO_FOLDER,
        beginning=beginning,
        assignments=assignments,
        grace=GRACE,
        limit=max(1, ceil(command.time_limit)),
        command=_shell_words(command),
    )
    return f"exec sh -c {shlex.quote(script + ending)}"


def _shell_words(command: Command) -> str:
    program, *arguments = command.arguments
    if program.startswith("~/"):
        return f'"$home"/{shlex.join([program[2:], *arguments])}'
    return shlex.join(command.arguments)
