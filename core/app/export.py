"""The export plan: from a source model and a folder of pictures to a folder of artifacts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.app.calibration_notes import about_movement, about_pictures
from edgeferry.app.crew import Crew, open_crew
from edgeferry.app.export_checks import check_options
from edgeferry.app.export_options import ExportedArtifact, ExportOptions, ExportReport
from edgeferry.app.format_export import FormatOutcome, FormatPlan, export_format
from edgeferry.app.manifest import write_manifest
from edgeferry.app.output_folder import staged_folder
from edgeferry.app.source_quality import SourceQuality, source_quality
from edgeferry.applications import APPLICATIONS
from edgeferry.artifact import artifact_files, find_artifacts
from edgeferry.contract import Contract, Preprocessing
from edgeferry.devices.machine import available_memory
from edgeferry.errors import LabelError, UsageError
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker
from edgeferry.labels import match_label
from edgeferry.pictures import labeled_pictures
from edgeferry.progress import Progress, logger, silent
from edgeferry.threads import physical_cores
from edgeferry.torch_source import is_module, save_module
from edgeferry.trained_model import TORCH_SUFFIX, check_source

if TYPE_CHECKING:
    import keras
    import torch

    from edgeferry.calibration.store import CalibrationSet

_log = logger(__name__)
_MEMORY_OF_A_JOB = 3 * 2**30
"""Bytes that an exporter may take, its converter included."""
_VALIDATION_SAMPLE = 64
"""Validation pictures that calibration is compared with, and layers are ranked on."""

Tell = Callable[[str], None]

__all__ = ["ExportOptions", "ExportReport", "ExportedArtifact", "export"]


def export(
    source: str | Path | keras.Model | torch.nn.Module,
    output: str | Path,
    options: ExportOptions,
    progress: Progress = silent,
    tell: Tell | None = None,
) -> ExportReport:
    """Export a trained model to every format and precision asked for.

    Args:
        source: A ``.keras``, ``.h5``, ``.onnx`` or ``.pt2`` file, a SavedModel folder, the name
            of a network of Keras Applications (``APPLICATIONS``), or a model in memory: of Keras,
            or a ``torch.nn.Module``, whose size the options give.
        output: Folder for the artifacts and ``manifest.json``; appears when all is whole.
        options: What to export, and how.
        progress: Told how far each step is.
        tell: Told each warning as soon as it is known; the report has them all.

    Returns:
        What was written and what failed; a failed format does not lose the others.

    Raises:
        EdgeferryError: If nothing could be exported; then nothing is left behind.
    """
    output = Path(output)
    if isinstance(source, str | Path):
        check_source(source)
        known = None if Path(source).exists() else APPLICATIONS[str(source)].preprocessing
        options = replace(options, preprocessing=options.preprocessing or known)
    check_options(options)
    with (
        open_crew(options.scheduler) as crew,
        staged_folder(output, options.force) as staging,
        tempfile.TemporaryDirectory(prefix="edgeferry-") as folder,
    ):
        work, notes = Path(folder), _Notes(tell)
        run = _Export(_readable(source, work, options.size), options, work, progress, notes, crew)
        report = run.into(staging, output)
    return report


class _Notes:
    """Warnings, told at once and kept for the report."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self.all: list[str] = []

    def add(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.all.append(message)
            if self._tell is not None:
                self._tell(message)


@dataclass(frozen=True)
class _Export:
    source: str
    options: ExportOptions
    work: Path
    progress: Progress
    notes: _Notes
    crew: Crew

    def into(self, staging: Path, output: Path) -> ExportReport:
        """Fill the staging folder; report as of the output folder."""
        plan, quality = self._prepared(staging)
        outcome = self._export_formats(plan)
        _drop_unfinished(staging, outcome.seconds)
        if not outcome.seconds:
            raise next(iter(outcome.failures.values()))
        unheld = {name: each.failure for name, each in outcome.controlled.items() if each.failure}
        report = ExportReport(
            artifacts=tuple(_exported(staging, output, outcome.seconds)),
            failures={what: str(error) for what, error in outcome.failures.items()} | unheld,
            warnings=tuple(self.notes.all),
            source_top1=None if quality is None else quality.top1,
            controlled=outcome.controlled,
            movement=outcome.movement,
        )
        write_manifest(staging, plan.prepared.contract, report)
        return report

    def _prepared(self, staging: Path) -> tuple[FormatPlan, SourceQuality | None]:
        """Prepare the source, decode the pictures, and see whether they suit each other."""
        options = self.options
        with Worker("source") as worker:
            prepared = self._prepare(worker)
            self._check_validation(prepared.contract)
            calibration = self._decode(options.calibration, options.calibration_count, prepared)
            validation = self._decode(options.validation, _VALIDATION_SAMPLE, prepared)
            self.notes.add(about_pictures(calibration, validation, options))
            quality = self._source_quality(worker, prepared.contract, (calibration, validation))
        threads = max(1, round(physical_cores() / self._jobs()))
        plan = FormatPlan(prepared, calibration, validation, options, staging, threads, self.crew)
        return plan, quality

    def _jobs(self) -> int:
        return min(self.options.jobs or jobs_here(), len(self.options.formats))

    def _prepare(self, worker: Worker) -> PreparedSource:
        options = self.options
        told = {
            "preprocessing": options.preprocessing,
            "task": options.task,
            "head": options.head,
            "labels": options.labels and str(options.labels),
            "size": options.size,
            "batch": options.batch,
            "resize": asdict(options.resize),
            "signature": options.signature,
        }
        job = {"kind": "prepare", "source": self.source, "folder": str(self.work), "options": told}
        worker.ask(job, self.progress)
        prepared = PreparedSource.load(self.work / "prepared.json")
        task, shape = prepared.contract.task, prepared.contract.input.shape
        preprocessing = prepared.contract.source.preprocessing
        _log.info("%s: %s, input %s, preprocessing %s", self.source, task, shape, preprocessing)
        return prepared

    def _check_validation(self, contract: Contract) -> None:
        """Refuse validation pictures that accuracy could not be measured on in the end."""
        options = self.options
        if options.max_accuracy_drop is not None and options.validation is not None:
            if contract.task != "classification":
                raise UsageError(
                    f"the accuracy of {contract.task} is not controlled, that of classifiers is",
                    "Leave --max-accuracy-drop out; evaluate and debug tell how int8 does",
                )
            labeled_pictures(options.validation, contract.labels, contract.classes)

    def _decode(
        self, pictures: Path | None, count: int, prepared: PreparedSource
    ) -> CalibrationSet | None:
        """Decode a sample once, for all exporters to read."""
        from edgeferry.calibration.store import write_calibration

        if pictures is None:
            return None
        destination = self.work / f"{len(list(self.work.glob('*.npy')))}.npy"
        spec, seed = prepared.contract.input, self.options.seed
        return write_calibration(pictures, spec, count, seed, destination, self.progress)

    def _source_quality(
        self, worker: Worker, contract: Contract, sets: Sequence[CalibrationSet | None]
    ) -> SourceQuality | None:
        """Ask the source about the first set that is labeled, before anything is quantized."""
        labeled = ((each, _true_classes(each, contract)) for each in sets if each is not None)
        pictures, classes = next((found for found in labeled if found[1]), (None, None))
        known = contract.task == "classification" and contract.head == "softmax"
        if pictures is None or classes is None or not known:
            return None
        path = str(pictures.path)

        def ask(modes: Sequence[Preprocessing], count: int) -> Mapping[str, Sequence[bool]]:
            job = {"kind": "ask_source", "pictures": path}
            told = {"classes": classes[:count], "preprocessings": modes}
            return worker.ask({**job, **told}, self.progress)

        preprocessing = contract.source.preprocessing
        quality = source_quality(preprocessing, len(classes), contract.input.channels, ask)
        self.notes.add([quality.warning] if quality.warning else [])
        return quality

    def _export_formats(self, plan: FormatPlan) -> FormatOutcome:
        """Run one process for each format, several at once."""
        whole = FormatOutcome()
        with ThreadPoolExecutor(max_workers=self._jobs()) as pool:
            runs = [
                pool.submit(export_format, each, plan, self.progress)
                for each in self.options.formats
            ]
            for run in runs:
                whole.add(run.result())
        self.notes.add(whole.warnings)
        self.notes.add(about_movement(whole.movement.values()))
        return whole


def _readable(
    source: str | Path | keras.Model | torch.nn.Module, work: Path, size: tuple[int, int] | None
) -> str:
    """The source as a path or name; a model in memory is saved for the processes to read."""
    if isinstance(source, str | Path):
        return str(source)
    folder = work / "source"
    folder.mkdir()
    if is_module(source):
        path = folder / f"{type(source).__name__}{TORCH_SUFFIX}"
        save_module(source, path, size)
    else:
        from edgeferry.exporters.tracing import save_traced

        path = folder / str(getattr(source, "name", type(source).__name__))
        save_traced(source, path)
    return str(path)


def _drop_unfinished(staging: Path, finished: Iterable[str]) -> None:
    """Remove what a process left behind that died before it was done."""
    whole = {file.name for name in finished for file in artifact_files(staging / name)}
    for file in staging.iterdir():
        if file.name not in whole:
            file.unlink()


def jobs_here(available: int | None = None) -> int:
    """How many exporters may run side by side: one more than cores, as far as memory bears.

    Much of an export is done by one thread: with one more, no core waits.

    Args:
        available: Bytes of memory; None asks the system.
    """
    free = available_memory() if available is None else available
    most = physical_cores() + 1
    return most if free is None else max(1, min(most, free // _MEMORY_OF_A_JOB))


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


def _true_classes(pictures: CalibrationSet, contract: Contract) -> list[int] | None:
    """The pictures' classes, None where their folders do not name the network's classes."""
    names = [name for name in pictures.class_names if name is not None]
    if len(names) < len(pictures.class_names):
        return None
    try:
        return [match_label(name, contract.labels, contract.classes) for name in names]
    except LabelError:
        return None
