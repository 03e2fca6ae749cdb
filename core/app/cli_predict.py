"""``edgeferry predict``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, EngineDevice, Json, RuntimeName, Threads


def predict(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...")],
    top_k: Annotated[int, typer.Option(min=1, help="Answers per picture.")] = 5,
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

    with session(json, debug):
        engine = RuntimeOptions(threads, device=engine_device, cache=cache)
        answers = answer(artifact, images, top_k, runtime, engine)
    deliver(answers.document(), json, [answers_table(answers)], failures=answers.failures)
