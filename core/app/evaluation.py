"""Accuracy of artifacts on a set of pictures, and their agreement with a reference."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.crew import open_crew
from edgeferry.app.judge import EvaluationOptions, Judge
from edgeferry.app.results import Result, results_document
from edgeferry.app.subjects import Subject, artifact_subject, given_reference, reference_for
from edgeferry.app.task_evaluation import TaskJudge, same_task
from edgeferry.artifact import find_artifacts
from edgeferry.errors import EdgeferryError, UsageError
from edgeferry.progress import Progress, silent

__all__ = ["EvaluationOptions", "EvaluationReport", "evaluate"]


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        results: One per artifact, in the order given; a reference that is not among them first.
        failures: Error text by artifact that could not be judged.
        warnings: Things the user should know, e.g. skipped pictures.
        pictures: Number of pictures found.
        skipped: Number of those that cannot be read.
        folder: Where they lie.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    pictures: int
    skipped: int
    folder: Path

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "pictures": self.pictures,
            "pictures_from": str(self.folder.absolute()),
            "skipped": self.skipped,
            "failures": dict(self.failures),
            "warnings": self.warnings,
        }
        return results_document("evaluate", self.results, notes)


def evaluate(
    paths: Sequence[str | Path], options: EvaluationOptions, progress: Progress = silent
) -> EvaluationReport:
    """Judge artifacts, one after another.

    Args:
        paths: Artifacts, or folders that hold them.
        options: What to judge on, and how.
        progress: Told each picture.

    Raises:
        EdgeferryError: If an artifact is damaged, the pictures or labels are not usable, the
            cluster cannot be reached, or no artifact can be judged.
    """
    artifacts = [artifact_subject(artifact) for artifact in find_artifacts(paths)]
    given = given_reference(options.reference, artifacts)
    subjects = artifacts if given is None or given in artifacts else [given, *artifacts]
    references = {each.path: reference_for(each, artifacts, given) for each in subjects}
    if same_task(artifacts) != "classification":
        return _evaluate_task(options, subjects, references, progress)
    if options.truth is not None:
        raise UsageError("pictures for a classifier carry their labels in their folders' names")
    with (
        open_crew(options.scheduler, options.jobs) as crew,
        tempfile.TemporaryDirectory(prefix="edgeferry-") as folder,
    ):
        judge = Judge(artifacts[-1].contract, options, Path(folder), progress, crew)
        return _judge_all(judge, subjects, references)


def _evaluate_task(
    options: EvaluationOptions,
    subjects: Sequence[Subject],
    references: Mapping[Path, Subject | None],
    progress: Progress,
) -> EvaluationReport:
    """Judge networks that are no classifiers, here."""
    if options.scheduler is not None:
        raise UsageError("only classifiers are judged on a cluster", "Leave --scheduler out")
    judge = TaskJudge(options.images, options.truth, options.runtime, options.engine, progress)
    results = [judge.judge(subject, references[subject.path]) for subject in subjects]
    return EvaluationReport(
        results=results,
        failures={},
        warnings=judge.warnings(),
        pictures=len(judge.pictures),
        skipped=len(judge.unreadable),
        folder=picture_folder(options.images),
    )


def _judge_all(
    judge: Judge, subjects: Sequence[Subject], references: Mapping[Path, Subject | None]
) -> EvaluationReport:
    """Judge references before those that are compared with them."""
    wanted = {reference.path for reference in references.values() if reference}
    results: dict[Path, Result] = {}
    errors: dict[Path, EdgeferryError] = {}
    for subject in sorted(subjects, key=lambda each: each.path not in wanted):
        try:
            keep = subject.path in wanted
            results[subject.path] = judge.judge(subject, references[subject.path], keep)
        except EdgeferryError as error:
            if subject.path == judge.options.reference:
                raise
            errors[subject.path] = error
    if not results:
        raise next(iter(errors.values()))
    return EvaluationReport(
        results=[results[each.path] for each in subjects if each.path in results],
        failures={path.name: str(error) for path, error in errors.items()},
        warnings=judge.warnings(),
        pictures=len(judge.pictures),
        skipped=len(judge.unreadable),
        folder=picture_folder(judge.options.images),
    )


def picture_folder(images: Path) -> Path:
    """Where the pictures lie whose paths a result holds: beside the list, if it is one."""
    return images if images.is_dir() else images.parent
