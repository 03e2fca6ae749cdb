"""``edgeferry inspect``, ``edgeferry doctor`` and ``edgeferry demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeferry.app.cli_options import (
    Debug,
    EngineDevice,
    GivenContractFile,
    Json,
    RuntimeName,
    Threads,
)

if TYPE_CHECKING:
    from edgeferry.app.inspection import Inspection


def inspect(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT")],
    layers: Annotated[bool, typer.Option("--layers", help="List every operation.")] = False,
    diagram: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the architecture.")
    ] = None,
    amounts: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS",
            help="What debug, or benchmark --profile, wrote: each layer's error or time, drawn.",
        ),
    ] = None,
    contract: GivenContractFile = None,
    runtime: RuntimeName = None,
    threads: Threads = None,
    engine_device: EngineDevice = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Show an artifact's contract, and what its engine runs; also of files of other makers."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.inspection import inspect as run_inspection
    from edgeferry.app.tables import inspection_tables
    from edgeferry.runtimes.base import RuntimeOptions

    with session(json, debug):
        options = RuntimeOptions(threads, device=engine_device)
        found = run_inspection(artifact, runtime, options, contract, diagram is not None)
        drawn = [_drawn(found, amounts, diagram)] if diagram else []
    shown = [*inspection_tables(found, layers), *drawn]
    deliver(found.document(layers), json, shown, found.notes)


def _drawn(found: Inspection, amounts: Path | None, diagram: Path) -> str:
    from edgeferry.app.diagram import draw_diagram

    return f"{diagram}: {draw_diagram(found, amounts, diagram).summary()}"


def doctor(json: Json = None, debug: Debug = False) -> None:
    """Show what is installed, and how to get what is not."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.doctor import diagnose
    from edgeferry.app.tables import diagnosis_tables

    with session(json, debug):
        diagnosis = diagnose()
    deliver(diagnosis.document(), json, diagnosis_tables(diagnosis))


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything.")] = Path(
        "demo-output"
    ),
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Train, export, evaluate and benchmark a ResNet50."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.demo import run_demo
    from edgeferry.app.tables import summary_table

    with session(json, debug) as progress:
        report = run_demo(output, progress)
    table, document = summary_table(report.results), report.document()
    deliver(document, json, (table, *report.verdicts), report.warnings, report.failures)
