"""The export plan: from a source model and a folder of pictures to a folder of artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.app.calibration_notes import about_movement, about_pictures
from edgeferry.app.crew import Crew, open_crew
from edgeferry.app.export_checks import check_options
from edgeferry.app.export_journal import asked_files, asked_options, check_tools
from edgeferry.app.export_options import ExportedArtifact, ExportOptions, ExportReport
from edgeferry.app.format_export import FormatOutcome, FormatPlan, export_format
from edgeferry.app.given_source import readable
from edgeferry.app.lock import Tell, output_lock, unheard
from edgeferry.app.manifest import MANIFEST, is_export_of, read_export, write_manifest
from edgeferry.app.output_folder import check_output, finish_publishing, make_room, publish
from edgeferry.app.partial import Partial, open_partial
from edgeferry.app.source_quality import SourceQuality, source_quality, true_classes
from edgeferry.applications import APPLICATIONS
from edgeferry.artifact import find_artifacts
from edgeferry.contract import Contract, Preprocessing
from edgeferry.devices.machine import available_memory
from edgeferry.errors import UsageError
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker
from edgeferry.pictures import labeled_pictures
from edgeferry.progress import Progress, logger, silent
from edgeferry.threads import physical_cores
from edgeferry.trained_model import check_source

if TYPE_CHECKING:
    import keras
    import torch

    from edgeferry.calibration.store import CalibrationSet

_log = logger(__name__)
_MEMORY_OF_A_JOB = 3 * 2**30
"""Bytes that an exporter may take, its converter included."""
_VALIDATION_SAMPLE = 64
"""Validation pictures that calibration is compared with, and layers are ranked on."""

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
        output: Folder for the artifacts and ``manifest.json``; appears when all is whole. It is
            locked meanwhile.
        options: What to export, and how.
        progress: Told how far each step is.
        tell: Told each warning as soon as it is known; the report has them all.

    Returns:
        What was written and what failed; a failed format does not lose the others.

    Raises:
        EdgeferryError: If nothing could be exported; then nothing is left behind. Where a run is
            interrupted, finished artifacts are kept beside the output, to resume from.
    """
    output, tell = Path(output), tell or unheard
    if isinstance(source, str | Path):
        check_source(source)
        known = None if Path(source).exists() else APPLICATIONS[str(source)].preprocessing
        options = replace(options, preprocessing=options.preprocessing or known)
    check_options(options)
    make_room(output)
    with output_lock(output, "export", tell), open_crew(options.scheduler) as crew:
        finish_publishing(output)
        asked = asked_options(options)
        whole = options.resume and is_export_of(output, asked)
        if not whole:
            check_output(output, options.force)
        with open_partial(output, asked, options.resume, unheard if whole else tell) as partial:
            path = readable(source, partial.work, options.size)
            run = _Export(path, options, partial, progress, _Notes(tell), crew)
            return run.found(output) if whole else run.to(output)


class _Notes:
    """Warnings, told at once and kept for the report."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.all: list[str] = []

    def add(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.all.append(message)
            self.tell(message)


@dataclass(frozen=True)
class _Export:
    source: str
    options: ExportOptions
    partial: Partial
    progress: Progress
    notes: _Notes
    crew: Crew

    def to(self, output: Path) -> ExportReport:
        """Make what is not finished yet, and put everything into the output folder."""
        plan, quality = self._prepared()
        outcome = self._export_formats(plan)
        if not outcome.seconds:
            raise next(iter(outcome.failures.values()))
        unheld = {name: each.failure for name, each in outcome.controlled.items() if each.failure}
        report = ExportReport(
            artifacts=tuple(_exported(self.partial.files, output, outcome.seconds)),
            failures={what: str(error) for what, error in outcome.failures.items()} | unheld,
            warnings=tuple(self.notes.all),
            source_top1=None if quality is None else quality.top1,
            controlled=outcome.controlled,
            movement=outcome.movement,
        )
        self._write_manifest(plan.prepared.contract, report)
        publish(self.partial, output)
        return report

    def found(self, output: Path) -> ExportReport:
        """Look whether the output folder holds just this export, made of just these files.

        Raises:
            OutputError: If it does not, and there is no leave to replace what it holds.
            UsageError: If other versions of the tools made it.
        """
        _, quality = self._prepared()
        report = read_export(output, self.partial.asked)
        if report is None:
            check_output(output, self.options.force)
            return self.to(output)
        check_tools(each.path for each in report.artifacts)
        self.notes.tell(f"{output} holds just this export: nothing was left to do")
        return replace(report, source_top1=None if quality is None else quality.top1)

    def _write_manifest(self, contract: Contract, report: ExportReport) -> None:
        path = self.partial.work / MANIFEST
        write_manifest(path, self.partial.files, contract, report, self.partial.asked)
        self.partial.finish(MANIFEST, [path], {})

    def _prepared(self) -> tuple[FormatPlan, SourceQuality | None]:
        """Prepare the source, decode the pictures, and see whether they suit each other."""
        options = self.options
        with Worker("source", self.partial.work) as worker:
            prepared = self._prepare(worker)
            self._check_validation(prepared.contract)
            calibration = self._decode(options.calibration, options.calibration_count, prepared)
            validation = self._decode(options.validation, _VALIDATION_SAMPLE, prepared)
            self.partial.ask(asked_files(prepared.contract, options, calibration, validation))
            check_tools(self.partial.files / head for head, *_ in self.partial.groups())
            self.notes.add(about_pictures(calibration, validation, options))
            quality = self._source_quality(worker, prepared.contract, (calibration, validation))
        threads = max(1, round(physical_cores() / self._jobs()))
        plan = FormatPlan(
            prepared, calibration, validation, options, self.partial, threads, self.crew
        )
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
        job = {
            "kind": "prepare",
            "source": self.source,
            "folder": str(self.partial.work),
            "options": told,
        }
        worker.ask(job, self.progress)
        prepared = PreparedSource.load(self.partial.work / "prepared.json")
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
        destination = self.partial.work / f"{len(list(self.partial.work.glob('*.npy')))}.npy"
        spec, seed = prepared.contract.input, self.options.seed
        return write_calibration(pictures, spec, count, seed, destination, self.progress)

    def _source_quality(
        self, worker: Worker, contract: Contract, sets: Sequence[CalibrationSet | None]
    ) -> SourceQuality | None:
        """Ask the source about the first set that is labeled, before anything is quantized."""
        labeled = ((each, true_classes(each, contract)) for each in sets if each is not None)
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
        with ThreadPoolExecutor(max_workers=self._jobs()) as pool, plan.workers:
            runs = [
                pool.submit(export_format, each, plan, self.progress)
                for each in self.options.formats
            ]
            for run in runs:
                whole.add(run.result())
        self.notes.add(whole.warnings)
        self.notes.add(about_movement(whole.movement.values()))
        return whole


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
    finished: Path, output: Path, seconds: Mapping[str, float]
) -> Iterator[ExportedArtifact]:
    for artifact in find_artifacts([finished]):
        assert artifact.precision is not None
        yield ExportedArtifact(
            output / artifact.path.name,
            artifact.format,
            artifact.precision,
            artifact.size_bytes,
            seconds[artifact.path.name],
        )
