"""The command ``edgeferry``; each command imports what it needs when it runs."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command

from edgeferry.app.cli_bundle import bundle
from edgeferry.app.cli_compare import compare
from edgeferry.app.cli_debug import debug as debug_command
from edgeferry.app.cli_devices import devices_app
from edgeferry.app.cli_export import export
from edgeferry.app.cli_look import demo, doctor, inspect
from edgeferry.app.cli_measure import benchmark, evaluate
from edgeferry.app.cli_options import Config, Debug, Verbose, Version
from edgeferry.app.cli_predict import predict
from edgeferry.app.cli_report import report
from edgeferry.app.cli_session import ARGUMENTS
from edgeferry.app.cli_verify import verify
from edgeferry.app.entry import INTERRUPTED
from edgeferry.errors import EdgeferryError, lack_of, reason_of, was_interrupted

if TYPE_CHECKING:
    from edgeferry.app.settings import Settings

INTERNAL_ERROR = 70
"""Exit code for a fault of edgeferry itself (EX_SOFTWARE)."""
COMPLETING = "_EDGEFERRY_COMPLETE"
"""What a shell sets in the environment when it asks for completions (typer)."""
_ANYWHERE = ("verbose", "config")
"""Parameters that every command takes, for ``run`` to read: their values go to none."""

app = typer.Typer(
    name="edgeferry",
    help="Export trained image networks to small machines, int8 and measured, and embed them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
for _command in (
    export,
    predict,
    evaluate,
    benchmark,
    compare,
    bundle,
    verify,
    report,
    inspect,
    doctor,
    demo,
):
    app.command()(_command)
app.command("debug")(debug_command)
app.add_typer(devices_app, name="devices")


@app.callback()
def _common(
    version: Version = False,
    tracebacks: Debug = False,
    verbose: Verbose = 0,
    config: Config = None,
) -> None:
    """Options that stand before the command; ``run`` reads all but --version wherever they stand.

    None is named like a command: click takes the user's settings by the names of both.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        The exit code: 0, 1 where part of the work failed, 2 for an error the user can mend,
        130 when interrupted, 70 for an internal error.
    """
    try:
        with _log(arguments):
            _run(list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if was_interrupted(error):
            return INTERRUPTED
        return _report(error, debug="--debug" in arguments)
    return 0


def _run(arguments: list[str]) -> None:
    if COMPLETING in os.environ:
        _complete_names()
    command = command_line()
    settings = _settings(arguments)
    if "--config" in arguments:
        from edgeferry.app.settings_view import in_force

        typer.echo(in_force(command, arguments, settings))
    else:
        defaults = settings.defaults(command) if settings else None
        ARGUMENTS.set(tuple(settings.spelled_out(command, arguments) if settings else arguments))
        command(args=arguments, prog_name="edgeferry", default_map=defaults)


def command_line() -> Any:
    """All commands with all their options, as click has them."""
    root: Any = get_command(app)
    anywhere = [each for each in root.params if each.name in _ANYWHERE]
    for command in _commands_in(root):
        command.params += anywhere
    return root


def _log(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """The log, as much of it as is asked for: -v, -vv, -v -v, --verbose."""
    short = [each for each in arguments if each.rstrip("v") == "-"]
    verbosity = "".join(short).count("v") + arguments.count("--verbose")
    if not verbosity:
        return nullcontext()
    from edgeferry.app.console import log_shown

    return log_shown(verbosity)


def _settings(arguments: Sequence[str]) -> "Settings | None":
    """The user's settings; none for what must work whatever is wrong with them."""
    runs = any(not each.startswith("-") for each in arguments) or "--config" in arguments
    if not runs or "--no-config" in arguments or "--help" in arguments:
        return None
    from edgeferry.app.settings import find_settings

    return find_settings()


def _commands_in(command: Any) -> Iterator[Any]:
    for each in getattr(command, "commands", {}).values():
        yield each
        yield from _commands_in(each)


def _complete_names() -> None:
    from edgeferry.app.completion import complete_names

    for each in (*app.registered_commands, *devices_app.registered_commands):
        if each.callback is not None:
            complete_names(each.callback)


def _report(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    told = str(error) if isinstance(error, EdgeferryError) else lack_of(error)
    if told:
        print(f"edgeferry: {told}", file=sys.stderr)
        return 2
    hint = "" if debug else " (--debug shows the traceback)"
    message = f"internal error: {type(error).__name__}: {reason_of(error)}{hint}"
    print(f"edgeferry: {message}", file=sys.stderr)
    return INTERNAL_ERROR
