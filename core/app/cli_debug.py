"""``edgeferry debug``."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, Json, Scheduler


def debug(
    artifact: Annotated[Path, typer.Argument(help="An int8 artifact.")],
    reference: Annotated[Path, typer.Option(help="Its fp32 twin: the same format and source.")],
    images: Annotated[Path, typer.Option(help="Pictures: a folder, CSV, .npy or .npz.")],
    count: Annotated[int, typer.Option(min=1, help="Largest number of pictures.")] = 32,
    seed: Annotated[int, typer.Option(help="For choosing the pictures.")] = 0,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the error along the depth: .svg, .png or .pdf."),
    ] = None,
    scheduler: Scheduler = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Tell which layers of an int8 artifact are wrong, and by how much."""
    from edgeferry.app.cli_session import deliver, json_lock, session
    from edgeferry.app.console import warn
    from edgeferry.app.debug_tables import layers_table
    from edgeferry.app.debugging import debug as run_debug
    from edgeferry.app.depth_picture import check_picture, draw_depth
    from edgeferry.app.lock import output_lock

    if picture is not None:
        check_picture(picture)
    drawing = nullcontext() if picture is None else output_lock(picture, "debug", warn)
    with json_lock(json, "debug"), drawing:
        with session(json, debug) as progress:
            report = run_debug(artifact, reference, images, count, seed, progress, scheduler)
            if picture is not None:
                draw_depth(report, picture)
        deliver(report.document(), json, [layers_table(report)], report.warnings)
