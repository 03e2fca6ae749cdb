"""``edgeferry export``."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from edgeferry.app.cli_options import (
    Debug,
    Json,
    Scheduler,
    one_of,
    one_of_or_none,
    read_batch,
    read_size,
    several_of,
)
from edgeferry.contract import (
    FORMATS,
    Interpolation,
    Precision,
    Preprocessing,
    ResizeMethod,
    Task,
)

HEADS = ("logits", "softmax", "sigmoid")
TARGETS = ("x86", "arm")
METHODS = ("auto", "minmax", "percentile", "entropy", "mse")


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A .keras, .h5, .onnx or .pt2 file, a SavedModel folder, or a network of Keras "
            "Applications by name: resnet50, mobilenet_v2, efficientnet_b0, …"
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the artifacts.")],
    calibration: Annotated[
        Path | None, typer.Option(help="Pictures for int8: a folder, .npy or .npz.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels: one a line, or a JSON list.")] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"What MODEL expects: {'|'.join(get_args(Preprocessing))}."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Where MODEL does not tell: {'|'.join(get_args(Task))}."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Where MODEL does not tell: {'|'.join(HEADS)}."),
    ] = None,
    formats: Annotated[
        str, typer.Option(metavar="LIST", help="Formats to write; doctor lists those of plug-ins.")
    ] = ",".join(FORMATS),
    precisions: Annotated[str, typer.Option(metavar="LIST")] = ",".join(get_args(Precision)),
    targets: Annotated[
        str, typer.Option(metavar="LIST", help="Processors to suit: x86,arm.")
    ] = "x86",
    calibration_method: Annotated[
        str, typer.Option(metavar="NAME", help=f"How ranges are found: {'|'.join(METHODS)}.")
    ] = "auto",
    calibration_count: Annotated[
        int, typer.Option(min=1, help="Largest number of calibration pictures.")
    ] = 100,
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(
            metavar="P", min=0, help="Points of top-1 that int8 may lose; needs --validation."
        ),
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Pictures to hold the accuracy on, labeled or not.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="S", help="Input size where MODEL leaves it open: 224, or 224x320."),
    ] = None,
    batch: Annotated[
        str, typer.Option(metavar="N", help="Pictures per inference, or: dynamic.")
    ] = "1",
    resize: Annotated[
        str, typer.Option(metavar="RULE", help=f"{'|'.join(get_args(ResizeMethod))}.")
    ] = "shorter",
    crop_ratio: Annotated[
        float, typer.Option(help="Share that the center crop of 'shorter' keeps.")
    ] = 0.875,
    interpolation: Annotated[
        str, typer.Option(metavar="NAME", help=f"{'|'.join(get_args(Interpolation))}.")
    ] = "bilinear",
    signature: Annotated[
        str, typer.Option(metavar="NAME", help="Which of a SavedModel's; the usual one unasked.")
    ] = "",
    seed: Annotated[int, typer.Option(help="For choosing the calibration pictures.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Exporters side by side; what the machine bears.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what OUT holds.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted export of the same.")
    ] = False,
    scheduler: Scheduler = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Export a trained model to TFLite, ONNX and OpenVINO."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.console import warn
    from edgeferry.app.control_tables import control_tables
    from edgeferry.app.export import ExportOptions
    from edgeferry.app.export import export as run_export
    from edgeferry.app.summaries import export_document
    from edgeferry.app.tables import export_table
    from edgeferry.contract import ResizeRule
    from edgeferry.exporters.registry import EXPORTERS

    options = ExportOptions(
        calibration=calibration,
        labels=labels,
        preprocessing=one_of_or_none("preprocessing", preprocessing, get_args(Preprocessing)),
        task=one_of_or_none("task", task, get_args(Task)),
        head=one_of_or_none("head", head, HEADS),
        formats=several_of("format", formats, tuple(EXPORTERS.entries())),
        precisions=several_of("precision", precisions, get_args(Precision)),
        targets=several_of("target", targets, TARGETS),
        calibration_method=calibration_method,
        calibration_count=calibration_count,
        max_accuracy_drop=max_accuracy_drop,
        validation=validation,
        size=read_size(size),
        batch=read_batch(batch),
        resize=ResizeRule(
            one_of("resize rule", resize, get_args(ResizeMethod)),
            crop_ratio,
            one_of("interpolation", interpolation, get_args(Interpolation)),
        ),
        seed=seed,
        jobs=jobs,
        force=force,
        resume=resume,
        signature=signature,
        scheduler=scheduler,
    )
    with session(json, debug) as progress:
        report = run_export(model, output, options, progress, warn)
    tables = [export_table(report), *control_tables(report)]
    deliver(export_document(report), json, tables, failures=report.failures)
