"""Accuracy of artifacts on a set of pictures, and their agreement with a reference."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.crew import open_crew
from edgeferry.app.evaluation_record import EvaluationRecord
from edgeferry.app.journal import Journal
from edgeferry.app.judge import EvaluationOptions, Judge
from edgeferry.app.lock import unheard
from edgeferry.app.partial import open_partial
from edgeferry.app.probe import Use, check_all_whole, try_out
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
        asked: What the figures depend on, for a run that is to go on; None where none is kept.
        complete: Whether everything was judged that can be.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    pictures: int
    skipped: int
    folder: Path
    asked: Mapping[str, Any] | None = None
    complete: bool = True

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "pictures": self.pictures,
            "pictures_from": str(self.folder.absolute()),
            "skipped": self.skipped,
            "failures": dict(self.failures),
            "warnings": self.warnings,
        }
        if self.asked is not None:
            notes |= {"asked": dict(self.asked), "complete": self.complete}
        return results_document("evaluate", self.results, notes)


def evaluate(
    paths: Sequence[str | Path],
    options: EvaluationOptions,
    progress: Progress = silent,
    record: EvaluationRecord | None = None,
) -> EvaluationReport:
    """Judge artifacts, one after another.

    Args:
        paths: Artifacts, or folders that hold them.
        options: What to judge on, and how.
        progress: Told each picture.
        record: Keeps what is found on disk meanwhile, and knows what an interrupted run found.

    Raises:
        EdgeferryError: If an artifact is damaged or was changed, the pictures or labels are not
            usable, the cluster cannot be reached, or no artifact can be judged.
    """
    artifacts = [artifact_subject(artifact) for artifact in find_artifacts(paths)]
    given = given_reference(options.reference, artifacts)
    subjects = artifacts if given is None or given in artifacts else [given, *artifacts]
    exported = [each for each in subjects if each.format != "keras"]
    if options.scheduler is None:
        refused = try_out(exported, Use(options.runtime, options.engine))
    else:  # opened elsewhere
        check_all_whole(exported)
        refused = {}
    references = {each.path: reference_for(each, artifacts, given) for each in subjects}
    run = _Evaluation(options, subjects, references, record or EvaluationRecord(), refused)
    if same_task(artifacts) != "classification":
        if options.scheduler is not None:
            raise UsageError("only classifiers are judged on a cluster", "Leave --scheduler out")
        judge = TaskJudge(options.images, options.truth, options.runtime, options.engine, progress)
        return run.judged_tasks(judge)
    if options.truth is not None:
        raise UsageError("pictures for a classifier carry their labels in their folders' names")
    with (
        open_crew(options.scheduler, options.jobs) as crew,
        _scratch(record.journal if record else None) as folder,
    ):
        return run.judged(Judge(artifacts[-1].contract, options, folder, progress, crew))


@contextmanager
def _scratch(journal: Journal | None) -> Iterator[Path]:
    """A folder for answers: beside the results, where the next run removes what is left of it."""
    if journal is not None:
        with open_partial(journal.path, {}, False, unheard) as partial:
            yield partial.work
    else:
        with tempfile.TemporaryDirectory(prefix="edgeferry-") as folder:
            yield Path(folder)


class _Evaluation:
    """Judging of some subjects, but for those that an interrupted run has judged."""

    def __init__(
        self,
        options: EvaluationOptions,
        subjects: Sequence[Subject],
        references: Mapping[Path, Subject | None],
        record: EvaluationRecord,
        refused: Mapping[Path, EdgeferryError],
    ) -> None:
        self._options, self._subjects, self._record = options, subjects, record
        self._references, self._refused = references, refused
        known = {each.path: record.known(each, references[each.path]) for each in subjects}
        self._results = {path: found for path, found in known.items() if found is not None}
        self._errors: dict[Path, EdgeferryError] = {}

    def judged(self, judge: Judge) -> EvaluationReport:
        """Judge classifiers, references before those that are compared with their answers."""
        left = [each for each in self._subjects if each.path not in self._results]
        wanted = {found.path for each in left if (found := self._references[each.path])}
        again = [each for each in self._subjects if each in left or each.path in wanted]
        for subject in sorted(again, key=lambda each: each.path not in wanted):
            try:
                self._check(subject)
                keep, reference = subject.path in wanted, self._references[subject.path]
                self._results[subject.path] = judge.judge(subject, reference, keep)
            except EdgeferryError as error:
                if subject.path == self._options.reference:
                    raise
                self._errors[subject.path] = error
            self._keep(judge)
        if not self._results:
            raise next(iter(self._errors.values()))
        return self._report(judge, complete=True)

    def judged_tasks(self, judge: TaskJudge) -> EvaluationReport:
        """Judge networks that are no classifiers, each beside its reference."""
        for subject in self._subjects:
            if subject.path not in self._results:
                self._check(subject)
                reference = self._references[subject.path]
                self._results[subject.path] = judge.judge(subject, reference)
                self._keep(judge)
        return self._report(judge, complete=True)

    def _check(self, subject: Subject) -> None:
        if error := self._refused.get(subject.path):
            raise error

    def _keep(self, judge: Judge | TaskJudge) -> None:
        if self._record.journal is not None:
            document = self._report(judge, complete=False).document()
            self._record.journal.write(len(self._results), document)

    def _report(self, judge: Judge | TaskJudge, complete: bool) -> EvaluationReport:
        earlier = self._record.earlier
        warnings = [*earlier.warnings, *judge.warnings()]
        return EvaluationReport(
            results=[
                self._results[each.path] for each in self._subjects if each.path in self._results
            ],
            failures={path.name: str(error) for path, error in self._errors.items()},
            warnings=list(dict.fromkeys(warnings)),
            pictures=len(judge.pictures),
            skipped=max(len(judge.unreadable), earlier.skipped),
            folder=picture_folder(self._options.images),
            asked=None if self._record.journal is None else self._record.asked,
            complete=complete,
        )


def picture_folder(images: Path) -> Path:
    """Where the pictures lie whose paths a result holds: beside the list, if it is one."""
    return images if images.is_dir() else images.parent
