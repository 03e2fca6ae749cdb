"""Accuracy of artifacts on a set of pictures, and their agreement with a reference."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.accuracy import Probabilities, Tally
from edgeferry.app.results import Result, results_document
from edgeferry.app.subjects import Subject, artifact_subject, given_reference, reference_for
from edgeferry.artifact import find_artifacts
from edgeferry.contract import InputSpec
from edgeferry.errors import EdgeferryError, ImageError, LabelError
from edgeferry.images import to_input
from edgeferry.labels import check_labels, read_labels
from edgeferry.pictures import LabeledPicture, labeled_pictures
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import Predictor
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime

FREE_BATCH = 16
"""Pictures per inference where the artifact takes any number."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to judge on, and how.

    Attributes:
        images: Folder of pictures, or CSV of ``file,label``; labeled or not.
        reference: Trained model or artifact to compare with; None takes the fp32 artifact,
            of the same format where there is one.
        labels: Labels file, where the artifacts carry none.
        runtime: Engine for the artifacts; None takes the first one installed.
        engine: How engines run.
    """

    images: Path
    reference: Path | None = None
    labels: Path | None = None
    runtime: str | None = None
    engine: RuntimeOptions = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        results: One per artifact, in the order given; a reference that is not among them first.
        failures: Error text by artifact that could not be judged.
        warnings: Things the user should know, e.g. skipped pictures.
        pictures: Number of pictures found.
        skipped: Number of those that cannot be read.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    pictures: int
    skipped: int

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "pictures": self.pictures,
            "skipped": self.skipped,
            "failures": dict(self.failures),
            "warnings": self.warnings,
        }
        return results_document("evaluate", self.results, notes)


def evaluate(
    paths: Sequence[str | Path], options: EvaluationOptions, progress: Progress = silent
) -> EvaluationReport:
    """Judge artifacts, one after another.

    Memory does not grow with the number of pictures: each is decoded when its turn comes, and
    the reference's answers are kept in a file.

    Args:
        paths: Artifacts, or folders that hold them.
        options: What to judge on, and how.
        progress: Told each picture.

    Raises:
        EdgeferryError: If an artifact is damaged, the pictures or labels are not usable, or
            no artifact can be judged.
    """
    artifacts = [artifact_subject(artifact) for artifact in find_artifacts(paths)]
    given = given_reference(options.reference, artifacts)
    subjects = artifacts if given is None or given in artifacts else [given, *artifacts]
    references = {each.path: reference_for(each, artifacts, given) for each in subjects}
    with tempfile.TemporaryDirectory(prefix="edgeferry-") as folder:
        evaluation = _Evaluation(subjects, references, options, Path(folder), progress)
        return evaluation.run()


@dataclass
class _Evaluation:
    subjects: list[Subject]
    references: Mapping[Path, Subject | None]
    options: EvaluationOptions
    folder: Path
    progress: Progress
    answers: dict[Path, Probabilities] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contract = self.subjects[-1].contract  # the last one is an artifact in any case
        file, labels = self.options.labels, contract.labels
        if file is not None:
            labels = read_labels(file)
            check_labels(labels, contract.classes)
        self.classes = contract.classes
        self.pictures = labeled_pictures(self.options.images, labels, self.classes)

    def run(self) -> EvaluationReport:
        """Judge references before those that are compared with them."""
        wanted = {reference.path for reference in self.references.values() if reference}
        results: dict[Path, Result] = {}
        errors: dict[Path, EdgeferryError] = {}
        for subject in sorted(self.subjects, key=lambda each: each.path not in wanted):
            try:
                results[subject.path] = self._judge(subject, keep=subject.path in wanted)
            except EdgeferryError as error:
                if subject.path == self.options.reference:
                    raise
                errors[subject.path] = error
        if not results:
            raise next(iter(errors.values()))
        return EvaluationReport(
            results=[results[each.path] for each in self.subjects if each.path in results],
            failures={path.name: str(error) for path, error in errors.items()},
            warnings=self._warnings(),
            pictures=len(self.pictures),
            skipped=len(self.unreadable),
        )

    def _judge(self, subject: Subject, keep: bool) -> Result:
        if subject.contract.classes != self.classes:
            raise LabelError(
                f"{subject.path.name} has {subject.contract.classes} classes, "
                f"not {self.classes} as the others"
            )
        runtime = choose_runtime(subject.format, _runtime_asked(subject, self.options))
        engine = RUNTIMES.load(runtime)(subject.path, subject.contract, self.options.engine)
        own = self._new_answers(subject) if keep else None
        reference = self.references[subject.path]
        theirs = self.answers.get(reference.path) if reference else None
        with Predictor(engine.open()) as predictor:
            tally = self._count(predictor, own, theirs, subject.path.name)
        if own is not None:
            self.answers[subject.path] = own
        return _result(subject, runtime, tally, reference if theirs is not None else None)

    def _count(
        self,
        predictor: Predictor,
        own: Probabilities | None,
        theirs: Probabilities | None,
        name: str,
    ) -> Tally:
        tally = Tally(predictor.contract.head)
        for positions, images in self._batches(predictor.contract.input):
            probabilities = predictor.predict_proba(images)
            if own is not None:
                own[positions] = probabilities
            truth = [self.pictures[position].index for position in positions]
            tally.add(probabilities, truth, None if theirs is None else theirs[positions])
            self.progress(f"evaluating {name}", positions[-1] + 1, len(self.pictures))
        if not tally.images:
            raise ImageError(f"none of the pictures in {self.options.images} can be read")
        return tally

    def _batches(self, spec: InputSpec) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
        """Positions and pixels of the readable pictures, as many at a time as one inference."""
        positions: list[int] = []
        images: list[NDArray[np.uint8]] = []
        for position, picture in enumerate(self.pictures):
            pixels = self._decode(picture, spec)
            if pixels is not None:
                positions.append(position)
                images.append(pixels)
            if len(images) == (spec.batch or FREE_BATCH):
                yield positions, np.stack(images)
                positions, images = [], []
        if images:
            yield positions, np.stack(images)

    def _decode(self, picture: LabeledPicture, spec: InputSpec) -> NDArray[np.uint8] | None:
        if picture.path in self.unreadable:
            return None
        try:
            return to_input(picture.path, spec)
        except ImageError as error:
            self.unreadable[picture.path] = error.problem
            return None

    def _new_answers(self, subject: Subject) -> Probabilities:
        shape = (len(self.pictures), self.classes)
        file = self.folder / f"{len(self.answers)}.npy"
        return np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)

    def _warnings(self) -> list[str]:
        if not self.unreadable:
            return []
        first = next(iter(self.unreadable.values()))
        return [f"{len(self.unreadable)} of {len(self.pictures)} pictures skipped, e.g. {first}"]


def _runtime_asked(subject: Subject, options: EvaluationOptions) -> str | None:
    return None if subject.format == "keras" else options.runtime


def _result(subject: Subject, runtime: str, tally: Tally, reference: Subject | None) -> Result:
    return Result(
        artifact=subject.path.name,
        format=subject.format,
        precision=subject.contract.precision,
        runtime=runtime,
        size_bytes=subject.size_bytes,
        **tally.measures(),
        extra={
            **tally.intervals(),
            **subject.digests(),
            "reference": reference.path.name if reference else None,
        },
    )
