"""``edgeferry report``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, Json


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="What --json wrote of evaluate, benchmark, debug, export or demo.",
        ),
    ],
    output: Annotated[
        list[Path],
        typer.Option(
            "-o", "--output", metavar="FILE", help="An .html page, .md or .csv; several at once."
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Where the pictures of the evaluation are; where they were."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading; the artifacts' name.")] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Put results together as a page to look at."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.report.documents import read_documents
    from edgeferry.app.report.writing import check_outputs, write_report
    from edgeferry.app.results import results_document

    check_outputs(output)
    with session(json, debug):
        written = write_report(read_documents(results), output, images, title)
    files = {"files": [str(path) for path in output]}
    document = results_document("report", written.results, files)
    deliver(document, json, [*written.verdicts, *map(str, output)])
