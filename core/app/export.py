"""The export plan: from a source model and a folder of pictures to a folder of artifacts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.export_checks import check_options
from edgeferry.app.export_options import ExportedArtifact, ExportOptions, ExportReport
from edgeferry.app.manifest import write_manifest
from edgeferry.app.output_folder import staged_folder
from edgeferry.artifact import artifact_files, find_artifacts
from edgeferry.contract import Contract
from edgeferry.devices.machine import available_memory
from edgeferry.errors import EdgeferryError, LabelError, rebuilt_error
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import run_job
from edgeferry.exporters.recipes import recipes_for
from edgeferry.labels import match_label
from edgeferry.progress import Progress, silent
from edgeferry.threads import physical_cores
from edgeferry.trained_model import APPLICATIONS, check_source

if TYPE_CHECKING:
    import keras

    from edgeferry.calibration.store import CalibrationSet

_MEMORY_OF_A_JOB = 3 * 2**30
"""Bytes that an exporter may take, its converter included."""

__all__ = ["ExportOptions", "ExportReport", "ExportedArtifact", "export"]


def export(
    source: str | Path | keras.Model,
    output: str | Path,
    options: ExportOptions,
    progress: Progress = silent,
) -> ExportReport:
    """Export a trained model to every format and precision asked for.

    Args:
        source: A ``.keras`` or ``.h5`` file, a SavedModel folder, ``resnet50``, or a Keras model
            in memory.
        output: Folder for the artifacts and ``manifest.json``; appears when all is whole.
        options: What to export, and how.
        progress: Told how far each step is.

    Returns:
        What was written and what failed; a failed format does not lose the others.

    Raises:
        EdgeferryError: If nothing could be exported; then nothing is left behind.
    """
    output = Path(output)
    if isinstance(source, str | Path):
        check_source(source)
        known = None if Path(source).exists() else APPLICATIONS[str(source)]
        options = replace(options, preprocessing=options.preprocessing or known)
    check_options(options)
    with (
        staged_folder(output, options.force) as staging,
        tempfile.TemporaryDirectory(prefix="edgeferry-") as work,
    ):
        prepared = _prepare(_readable(source, Path(work)), options, Path(work), progress)
        pictures = _decode_calibration(prepared, options, Path(work), progress)
        seconds, failures = _export_formats(prepared, pictures, options, staging, progress)
        if not seconds:
            raise next(iter(failures.values()))
        report = ExportReport(
            artifacts=tuple(_exported(staging, output, seconds)),
            failures={what: str(error) for what, error in failures.items()},
            warnings=_warnings(pictures, options.calibration),
            source_top1=_source_top1(staging, prepared, pictures, progress),
        )
        write_manifest(staging, prepared.contract, report)
    return report


def _readable(source: str | Path | keras.Model, work: Path) -> str:
    """The source as a path or name; a model in memory is saved for the processes to read."""
    if isinstance(source, str | Path):
        return str(source)
    from edgeferry.exporters.tracing import save_traced

    path = work / "source" / str(getattr(source, "name", type(source).__name__))
    save_traced(source, path)
    return str(path)


def _prepare(source: str, options: ExportOptions, work: Path, progress: Progress) -> PreparedSource:
    told = {
        "preprocessing": options.preprocessing,
        "head": options.head,
        "labels": options.labels and str(options.labels),
        "size": options.size,
        "batch": options.batch,
        "resize": asdict(options.resize),
    }
    run_job({"kind": "prepare", "source": source, "folder": str(work), "options": told}, progress)
    return PreparedSource.load(work / "prepared.json")


def _decode_calibration(
    prepared: PreparedSource, options: ExportOptions, work: Path, progress: Progress
) -> CalibrationSet | None:
    """Decode the sample once, for all exporters to read."""
    from edgeferry.calibration.store import write_calibration

    if options.calibration is None:
        return None
    return write_calibration(
        options.calibration,
        prepared.contract.input,
        options.calibration_count,
        options.seed,
        work / "calibration.npy",
        progress,
    )


def _export_formats(
    prepared: PreparedSource,
    pictures: CalibrationSet | None,
    options: ExportOptions,
    staging: Path,
    progress: Progress,
) -> tuple[dict[str, float], dict[str, EdgeferryError]]:
    """Run one process for each format, several at once; give seconds and failures by file."""

    def run(format: str) -> Mapping[str, Any]:
        def told(step: str, done: int, total: int) -> None:
            progress(f"{format}: {step}", done, total)

        return run_job(_export_job(format, prepared, pictures, options, staging), told)

    seconds: dict[str, float] = {}
    failures: dict[str, EdgeferryError] = {}
    jobs = options.jobs or jobs_here()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        runs = {format: pool.submit(run, format) for format in options.formats}
        for format, future in runs.items():
            try:
                answer = future.result()
            except EdgeferryError as error:
                failures[format] = error
            else:
                seconds.update(answer["seconds"])
                for name, described in answer["failures"].items():
                    failures[name] = rebuilt_error(described)
    _drop_unfinished(staging, seconds)
    return seconds, failures


def _drop_unfinished(staging: Path, finished: Iterable[str]) -> None:
    """Remove what a process left behind that died before it was done."""
    whole = {file.name for name in finished for file in artifact_files(staging / name)}
    for file in staging.iterdir():
        if file.name not in whole:
            file.unlink()


def jobs_here(available: int | None = None) -> int:
    """How many exporters may run side by side: as many as cores, and as memory bears.

    Args:
        available: Bytes of memory; None asks the system.
    """
    free = available_memory() if available is None else available
    cores = physical_cores()
    return cores if free is None else max(1, min(cores, free // _MEMORY_OF_A_JOB))


def _export_job(
    format: str,
    prepared: PreparedSource,
    pictures: CalibrationSet | None,
    options: ExportOptions,
    staging: Path,
) -> dict[str, Any]:
    calibration = pictures and {
        "path": str(pictures.path),
        "info": {
            "method": options.calibration_method,
            "images": pictures.images,
            "sha256": pictures.sha256,
        },
    }
    return {
        "kind": "export",
        "format": format,
        "prepared": str(prepared.graph.with_name("prepared.json")),
        "calibration": calibration,
        "recipes": [asdict(r) for r in recipes_for(format, options.precisions, options.targets)],
        "folder": str(staging),
    }


def _exported(
    staging: Path, output: Path, seconds: Mapping[str, float]
) -> Iterator[ExportedArtifact]:
    for artifact in find_artifacts([staging]):
        assert artifact.precision is not None
        yield ExportedArtifact(
            output / artifact.path.name,
            artifact.format,
            artifact.precision,
            artifact.size_bytes,
            seconds[artifact.path.name],
        )


def _warnings(pictures: CalibrationSet | None, source: Path | None) -> tuple[str, ...]:
    """What went wrong on the way; it goes into the manifest, so without the folder's path."""
    if pictures is None or source is None or not pictures.skipped:
        return ()
    folder = source if source.is_dir() else source.parent
    shown = "; ".join(pictures.skipped[:3]).replace(f"{folder}{os.sep}", "")
    return (f"skipped {len(pictures.skipped)} calibration pictures: {shown}",)


def _source_top1(
    staging: Path, prepared: PreparedSource, pictures: CalibrationSet | None, progress: Progress
) -> float | None:
    """Percent right on labeled calibration pictures, so that a wrong preprocessing shows.

    Asked of the first artifact written (float32 before int8), which answers as the source does.
    """
    from edgeferry.calibration.store import StoredPictures
    from edgeferry.runtimes.predictor import load

    if pictures is None or prepared.contract.head != "softmax":
        return None
    classes = _true_classes(pictures, prepared.contract)
    if classes is None:
        return None
    right = 0
    with load(find_artifacts([staging])[0].path) as predictor:
        for done, (picture, true) in enumerate(
            zip(StoredPictures(pictures.path), classes, strict=True), 1
        ):
            right += int(predictor.predict_proba(picture)[0].argmax()) == true
            progress("checking on labeled pictures", done, pictures.images)
    return 100 * right / pictures.images


def _true_classes(pictures: CalibrationSet, contract: Contract) -> list[int] | None:
    """The pictures' classes, None where their folders do not name the network's classes."""
    try:
        return [
            match_label(name or "", contract.labels, contract.classes)
            for name in pictures.class_names
        ]
    except LabelError:
        return None
