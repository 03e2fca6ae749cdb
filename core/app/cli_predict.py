"""``edgeferry predict``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import (
    Debug,
    EngineDevice,
    GivenContractFile,
    Json,
    RuntimeName,
    Threads,
)


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
        Path | None, typer.Option(metavar="DIR", help="Draw the results on the pictures.")
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
    from edgeferry.app.answers import answer
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.tables import answers_table
    from edgeferry.runtimes.base import RuntimeOptions
    from edgeferry.runtimes.tasks import DecodingOptions

    with session(json, debug):
        engine = RuntimeOptions(threads, device=engine_device, cache=cache)
        decoding = DecodingOptions(top_k, least_score, overlap)
        answers = answer(artifact, images, decoding, runtime, engine, contract)
        if annotate is not None:
            from edgeferry.app.annotation import write_annotated

            for picture, result in answers.predictions.items():
                write_annotated(Path(picture), result, annotate)
    deliver(answers.document(), json, [answers_table(answers)], failures=answers.failures)
