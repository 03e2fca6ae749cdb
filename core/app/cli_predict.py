"""``edgeferry predict``."""

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
    from rich.console import RenderableType


def predict(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...")],
    top_k: Annotated[int, typer.Option(min=1, help="Answers per picture.")] = 5,
    least_score: Annotated[
        float, typer.Option(min=0, max=1, help="Of a detection; what is less sure is dropped.")
    ] = 0.25,
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Above it, two boxes are the same thing.")
    ] = 0.45,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Draw the answers: all in one picture file, or each into a folder.",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(metavar="ARTIFACT", help="Ask this one too; several at once."),
    ] = None,
    contract: GivenContractFile = None,
    runtime: RuntimeName = None,
    threads: Threads = None,
    engine_device: EngineDevice = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder to keep what the engine compiled, for a faster next start."),
    ] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Tell what is on pictures."""
    from edgeferry.app.annotated_files import check_annotation, write_annotated
    from edgeferry.app.answers import answer, answers_document
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.tables import answers_table
    from edgeferry.runtimes.base import RuntimeOptions
    from edgeferry.runtimes.tasks import DecodingOptions

    if annotate is not None:
        check_annotation(annotate, len(images))
    with session(json, debug):
        engine = RuntimeOptions(threads, device=engine_device, cache=cache)
        decoding = DecodingOptions(top_k, least_score, overlap)
        answers = [
            answer(each, images, decoding, runtime, engine, contract)
            for each in (artifact, *(compare or ()))
        ]
        drawn = write_annotated(answers, annotate) if annotate else []
    tables = [answers_table(each, named=len(answers) > 1) for each in answers]
    shown: list[RenderableType] = [*tables, *map(str, drawn)]
    deliver(answers_document(answers), json, shown, failures=answers[0].failures)
