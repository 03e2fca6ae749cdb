"""``edgeferry bundle``."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, EngineSettings, Json


def bundle(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT")],
    device: Annotated[str, typer.Option(help="A kind of device, or one of yours.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="tar.gz or zip.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Bring the wheels too: no network is needed there.")
    ] = False,
    python: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The device's Python, e.g. 3.13.")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="NAME", help="Engine; the first with wheels for it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads per inference; what its profile says.")
    ] = None,
    engine_setting: EngineSettings = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Use the wheels again that an interrupted run had fetched."),
    ] = False,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY.pem", help="Sign it with this Ed25519 private key."),
    ] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Pack an artifact with all that a device needs to run it."""
    from edgeferry.app.benchmark_options import read_settings
    from edgeferry.app.benchmark_tables import bundle_facts
    from edgeferry.app.bundle import bundle as make_bundle
    from edgeferry.app.bundle_contents import BundleOptions
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.console import warn

    settings = dict(read_settings(engine_setting or []))
    options = BundleOptions(device, runtime, python, threads, settings, offline, resume, sign)
    with session(json, debug) as progress:
        report = make_bundle(artifact, options, output, progress, warn)
    deliver(report.document(), json, [bundle_facts(report)], report.warnings)
