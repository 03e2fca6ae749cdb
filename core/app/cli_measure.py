"""``edgeferry evaluate`` and ``edgeferry benchmark``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgeferry.app.cli_options import (
    Artifacts,
    Debug,
    EngineDevice,
    Json,
    RuntimeName,
    Threads,
    one_of,
)

EXECUTIONS: tuple[Literal["float32", "auto"], ...] = ("float32", "auto")
Execution = Annotated[
    str,
    typer.Option(
        metavar="|".join(EXECUTIONS),
        help="What float operations run in; auto: the engine's choice.",
    ),
]


def evaluate(
    artifacts: Artifacts,
    images: Annotated[
        Path, typer.Option(help="Pictures: a folder, or a CSV of file,label; labeled or not.")
    ],
    reference: Annotated[
        Path | None,
        typer.Option(help="Keras model or artifact to compare with; the fp32 artifact."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels where the artifacts carry none.")
    ] = None,
    runtime: RuntimeName = None,
    threads: Threads = None,
    execution: Execution = "float32",
    engine_device: EngineDevice = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Measure accuracy, and agreement with a reference."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.evaluation import EvaluationOptions
    from edgeferry.app.evaluation import evaluate as run_evaluation
    from edgeferry.app.tables import accuracy_table
    from edgeferry.runtimes.base import RuntimeOptions

    engine = RuntimeOptions(threads, one_of("execution", execution, EXECUTIONS), engine_device)
    options = EvaluationOptions(images, reference, labels, runtime, engine)
    with session(json, debug) as progress:
        report = run_evaluation(artifacts, options, progress)
    table = accuracy_table(report.results)
    deliver(report.document(), json, [table], report.warnings, report.failures)


def benchmark(
    artifacts: Artifacts,
    duration: Annotated[
        float, typer.Option(min=0, help="Seconds of measuring per artifact.")
    ] = 5.0,
    runtime: RuntimeName = None,
    threads: Threads = None,
    execution: Execution = "float32",
    engine_device: EngineDevice = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Measure latency and memory on this machine."""
    from edgeferry.app.benchmark import BenchmarkOptions
    from edgeferry.app.benchmark import benchmark as run_benchmark
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.tables import latency_table

    options = BenchmarkOptions(
        threads=threads,
        execution=one_of("execution", execution, EXECUTIONS),
        runtime=runtime,
        device=engine_device,
        duration=duration,
    )
    with session(json, debug) as progress:
        report = run_benchmark(artifacts, options, progress)
    table = latency_table(report.results)
    deliver(report.document(), json, [table], report.warnings, report.failures)
