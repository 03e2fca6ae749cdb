"""What the console script starts: the command line, or how to get it."""

import signal
import sys
from io import TextIOWrapper
from threading import Timer, get_ident
from typing import NoReturn

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
_AGAIN = 0.05
"""Seconds until an interrupt is told again that got lost."""


def main() -> NoReturn:
    """Run the command line; without its packages, say which extra brings them (exit 2)."""
    try:
        _heed_interrupts()
        code = _run()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is done: no traceback of the farewell
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("edgeferry: interrupted", file=sys.stderr)
    sys.exit(code)


def _run() -> int:
    from edgeferry.registry import is_installed, missing_dependency

    missing = tuple(name for name in ("typer", "rich") if not is_installed(name))
    if missing:
        print(
            f"edgeferry: {missing_dependency('the command line', missing, 'cli')}", file=sys.stderr
        )
        return 2
    from edgeferry.app.cli import run

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file's name need be no text
    code = run(sys.argv[1:])
    sys.stdout.flush()
    return code


def _heed_interrupts() -> None:
    """Tell Ctrl-C again where it came while no exception could be raised, as in a finalizer."""
    usual, here = sys.unraisablehook, get_ident()

    def hook(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is KeyboardInterrupt:
            Timer(_AGAIN, signal.pthread_kill, (here, signal.SIGINT)).start()
        else:
            usual(lost)

    if hasattr(signal, "pthread_kill"):  # not on Windows
        sys.unraisablehook = hook
