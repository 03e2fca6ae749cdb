"""``edgeferry compare``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, Json


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="An earlier run's --json.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="The same of a later run.")],
    max_latency_regression: Annotated[
        float | None,
        typer.Option(min=0, metavar="PERCENT", help="Fail where latency grew by more."),
    ] = None,
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(min=0, metavar="POINTS", help="Fail where top-1 fell by more."),
    ] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Compare two runs of evaluate or benchmark; exit 1 where one is worse than allowed."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.compare import Limits
    from edgeferry.app.compare import compare as run_comparison
    from edgeferry.app.compare_tables import comparison_tables

    with session(json, debug):
        found = run_comparison(old, new, Limits(max_latency_regression, max_accuracy_drop))
    deliver(found.document(), json, comparison_tables(found), found.warnings, found.failures())
