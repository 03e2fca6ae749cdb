"""``edgeferry verify``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, Json


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Artifacts, folders of them, or bundles."),
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PUB.pem", help="Ed25519 public key: bundles have to be signed for it."
        ),
    ] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Tell whether files are as they were made; nothing is unpacked, no engine sees them."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.verification import verify as run_verification
    from edgeferry.app.verification_tables import shown_failures, verification_table

    with session(json, debug) as progress:
        report = run_verification(paths, key, progress)
    deliver(report.document(), json, [verification_table(report)], failures=shown_failures(report))
