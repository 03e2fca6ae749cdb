"""The command ``edgeferry``; each command imports what it needs when it runs."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from edgeferry.app.cli_bundle import bundle
from edgeferry.app.cli_compare import compare
from edgeferry.app.cli_debug import debug as debug_command
from edgeferry.app.cli_devices import devices_app
from edgeferry.app.cli_export import export
from edgeferry.app.cli_look import demo, doctor, inspect
from edgeferry.app.cli_measure import benchmark, evaluate
from edgeferry.app.cli_predict import predict
from edgeferry.errors import EdgeferryError

INTERNAL_ERROR = 70
"""Exit code for a fault of edgeferry itself (EX_SOFTWARE)."""

app = typer.Typer(
    name="edgeferry",
    help="Export trained image networks to small machines, int8 and measured, and embed them.",
    add_completion=False,
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
    inspect,
    doctor,
    demo,
):
    app.command()(_command)
app.command("debug")(debug_command)
app.add_typer(devices_app, name="devices")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"edgeferry {version('edgeferry')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Options that stand before the command; ``run`` reads --debug wherever it stands."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        The exit code: 0, 1 where part of the work failed, 2 for an error the user can mend,
        130 when interrupted, 70 for an internal error.
    """
    try:
        app(args=list(arguments), prog_name="edgeferry")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except Exception as error:
        return _report(error, debug="--debug" in arguments)
    return 0


def _report(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, EdgeferryError):
        print(f"edgeferry: {error}", file=sys.stderr)
        return 2
    first_line = (str(error).strip() or repr(error)).splitlines()[0]
    hint = "" if debug else " (--debug shows the traceback)"
    message = f"internal error: {type(error).__name__}: {first_line}{hint}"
    print(f"edgeferry: {message}", file=sys.stderr)
    return INTERNAL_ERROR


def main() -> NoReturn:
    """Entry point of the console script."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)
