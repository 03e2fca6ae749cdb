"""``edgeferry evaluate`` and ``edgeferry benchmark``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgeferry.app.cli_options import (
    Artifacts,
    Debug,
    EngineDevice,
    EngineSettings,
    Json,
    RuntimeName,
    Scheduler,
    Threads,
    one_of,
)
from edgeferry.errors import UsageError

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
    truth: Annotated[
        Path | None,
        typer.Option(help="For segmentation: a folder of masks; for detection: a COCO file."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Keras model or artifact to compare with; the fp32 artifact."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels where the artifacts carry none.")
    ] = None,
    runtime: RuntimeName = None,
    threads: Threads = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Engines that share the cores; one per core, 4 at most."),
    ] = None,
    execution: Execution = "float32",
    engine_device: EngineDevice = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same --json.")
    ] = False,
    scheduler: Scheduler = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Measure accuracy, and agreement with a reference."""
    from edgeferry.app.change_tables import change_tables
    from edgeferry.app.cli_session import deliver, json_lock, session
    from edgeferry.app.console import warn
    from edgeferry.app.evaluation import EvaluationOptions
    from edgeferry.app.evaluation import evaluate as run_evaluation
    from edgeferry.app.evaluation_record import begin_record
    from edgeferry.app.tables import accuracy_table
    from edgeferry.runtimes.base import RuntimeOptions

    engine = RuntimeOptions(threads, one_of("execution", execution, EXECUTIONS), engine_device)
    options = EvaluationOptions(images, truth, reference, labels, runtime, engine, jobs, scheduler)
    if resume and json in (None, "-"):
        raise UsageError("--resume goes on with results in a file", "Name it: --json FILE")
    with json_lock(json, "evaluate") as file:
        with session(json, debug) as progress:
            record = begin_record(file, options, resume, warn) if file else None
            report = run_evaluation(artifacts, options, progress, record)
        tables = [accuracy_table(report.results), *change_tables(report.results)]
        deliver(report.document(), json, tables, report.warnings, report.failures)


def benchmark(
    artifacts: Artifacts,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ADDRESS",
            help="Where: a device of yours, ssh://user@host, adb://serial; several at once. "
            "This machine.",
        ),
    ] = None,
    duration: Annotated[
        str, typer.Option(help="Measuring per artifact: seconds, or 10m; from 1m on sustained.")
    ] = "5",
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for the fastest threads and engine settings.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time each layer too, with the engine's profiler.")
    ] = False,
    accuracy: Annotated[
        Path | None, typer.Option(help="What evaluate --json wrote, for the verdict.")
    ] = None,
    max_latency: Annotated[
        float | None, typer.Option(min=0, metavar="MS", help="Budget for the verdict.")
    ] = None,
    max_memory: Annotated[
        float | None, typer.Option(min=0, metavar="MIB", help="Budget for the verdict.")
    ] = None,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(min=0, metavar="POINTS", help="Budget for the verdict.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same --json.")
    ] = False,
    runtime: RuntimeName = None,
    threads: Threads = None,
    execution: Execution = "float32",
    engine_device: EngineDevice = None,
    engine_setting: EngineSettings = None,
    benchmark_model: Annotated[
        Path | None, typer.Option(help="TFLite's benchmark_model for devices without Python.")
    ] = None,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Measure latency and memory, on this machine or on devices."""
    from edgeferry.app.benchmark import benchmark as run_benchmark
    from edgeferry.app.benchmark_options import BenchmarkOptions, read_duration, read_settings
    from edgeferry.app.benchmark_tables import benchmark_report
    from edgeferry.app.cli_session import deliver, json_lock, session
    from edgeferry.app.console import warn
    from edgeferry.app.journal import is_there_to_resume, open_journal, read_earlier
    from edgeferry.app.verdict import Budget

    options = BenchmarkOptions(
        threads=threads,
        execution=one_of("execution", execution, EXECUTIONS),
        runtime=runtime,
        engine_device=engine_device,
        settings=read_settings(engine_setting or []),
        duration=read_duration(duration),
        devices=tuple(device or ("local",)),
        tune=tune,
        accuracy=accuracy,
        budget=Budget(max_latency, max_memory, max_accuracy_drop),
        benchmark_model=benchmark_model,
        profile=profile,
    )
    with json_lock(json, "benchmark") as file, open_journal(file, resume, warn) as journal:
        earlier = None
        if resume and journal is not None and is_there_to_resume(journal.path, warn):
            earlier = read_earlier(journal.path, options.asked())
        with session(json, debug) as progress:
            report = run_benchmark(artifacts, options, progress, journal, earlier)
        problem = journal.problem if journal else ""
        warnings = [*report.warnings, *filter(None, [problem])]
        deliver(report.document(), json, benchmark_report(report), warnings, report.failures)
