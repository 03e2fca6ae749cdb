"""Judging one model after another on the same pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeferry.app.accuracy import Probabilities, Tally
from edgeferry.app.answer_changes import AnswerChanges
from edgeferry.app.answer_store import AnswerStore
from edgeferry.app.answering import Engines, Picture, answer
from edgeferry.app.crew import Crew, Threads
from edgeferry.app.results import Result
from edgeferry.app.subjects import Subject
from edgeferry.contract import Contract
from edgeferry.errors import ImageError, LabelError
from edgeferry.labels import check_labels, read_labels
from edgeferry.pictures import labeled_pictures
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.registry import choose_runtime

_CHUNK = 8
"""Pictures that are decoded, answered and counted together, about."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to judge on, and how.

    Attributes:
        images: Folder of pictures, or CSV of ``file,label``; labeled or not.
        truth: For networks that are no classifiers: folder of true masks, or a COCO file of
            true boxes; None compares with the reference only.
        reference: Trained model or artifact to compare with; None takes the fp32 artifact,
            of the same format where there is one.
        labels: Labels file, where the artifacts carry none.
        runtime: Engine for the artifacts; None takes the first one installed.
        engine: How engines run; where threads are left open, engines share out the cores.
        jobs: Engines of one artifact side by side; None is what is fastest. A trained model
            always has one.
        scheduler: Address of a Dask scheduler whose workers answer, each with engines of its
            own; None answers here.
    """

    images: Path
    truth: Path | None = None
    reference: Path | None = None
    labels: Path | None = None
    runtime: str | None = None
    engine: RuntimeOptions = field(default_factory=RuntimeOptions)
    jobs: int | None = None
    scheduler: str | None = None


@dataclass
class Judge:
    """Judges models on one set of pictures.

    Memory does not grow with the number of pictures, but with that of changed answers: each
    picture is decoded when its turn comes, and the answers of references are kept in files.

    Attributes:
        contract: Of the artifacts: labels and number of classes.
        options: What to judge on, and how.
        folder: For the answers that are kept.
        progress: Told each batch.
        crew: Who answers; None is the threads of this process.
        unreadable: What is wrong with pictures that are skipped, by position.
        broken: Number of answers that are not all numbers, by the file name of the model.
    """

    contract: Contract
    options: EvaluationOptions
    folder: Path
    progress: Progress = silent
    crew: Crew | None = None
    unreadable: dict[int, str] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    _answers: dict[Path, AnswerStore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.options.labels is not None:
            given = read_labels(self.options.labels)
            check_labels(given, self.contract.classes)
            self.contract = replace(self.contract, labels=given)
        labels, classes = self.contract.labels, self.contract.classes
        self.pictures = labeled_pictures(self.options.images, labels, classes)
        self._labeled = any(picture.index is not None for picture in self.pictures)

    def judge(self, subject: Subject, reference: Subject | None, keep: bool = False) -> Result:
        """Measure one model.

        Args:
            subject: The model.
            reference: What it is compared with; compared only if its answers were kept.
            keep: Keep its answers, since others are compared with them.

        Raises:
            EdgeferryError: If it cannot be opened or run, or no picture can be read.
        """
        self._check_classes(subject)
        runtime = choose_runtime(subject.format, self._runtime_asked(subject))
        theirs = self._answers.get(reference.path) if reference else None
        own = self._new_answers() if keep else None
        tally = Tally(subject.contract.head)
        changes = AnswerChanges(self._name, self._labeled) if theirs else None
        for positions, probabilities in self._answered(subject, runtime):
            truth = [self.pictures[position].index for position in positions]
            before = theirs.read(positions) if theirs else None
            tally.add(probabilities, truth, before)
            if changes is not None and before is not None:
                changes.add(positions, truth, probabilities, before)
            if own is not None:
                own.write(positions, probabilities)
        if not tally.images:
            raise ImageError(f"none of the pictures in {self.options.images} can be read")
        if tally.broken:
            self.broken[subject.path.name] = tally.broken
        if own is not None:
            self._answers[subject.path] = own
        return self._result(subject, runtime, tally, changes, reference if theirs else None)

    def warnings(self) -> list[str]:
        """What the user should know of the pictures and the answers to them."""
        total = len(self.pictures)
        told = [
            f"{name}: {count} of {total} answers are not numbers"
            for name, count in self.broken.items()
        ]
        if self.unreadable:
            first = self.unreadable[min(self.unreadable)]
            told.append(f"{len(self.unreadable)} of {total} pictures skipped, e.g. {first}")
        return told

    def _answered(
        self, subject: Subject, runtime: str
    ) -> Iterator[tuple[list[int], Probabilities]]:
        """Positions and answers in the pictures' order."""
        crew = self.crew or Threads(self.options.jobs)
        engines = Engines(subject, runtime, self.options.engine, self.options.jobs)
        size, total = _chunk_size(subject.contract.input.batch), len(self.pictures)
        chunks = (self._chunk(start, size, crew) for start in range(0, total, size))
        for number, answers in enumerate(crew.map(answer, engines, chunks), 1):
            self.unreadable |= answers.unreadable
            self.progress(f"evaluating {subject.path.name}", min(number * size, total), total)
            if answers.probabilities is not None:
                yield answers.positions, answers.probabilities

    def _chunk(self, start: int, size: int, crew: Crew) -> list[Picture]:
        """Some pictures, without those that are known to be unreadable."""
        positions = range(start, min(start + size, len(self.pictures)))
        pictures = (self._picture(position, crew) for position in positions)
        return [picture for picture in pictures if picture is not None]

    def _picture(self, position: int, crew: Crew) -> Picture | None:
        if position in self.unreadable:
            return None
        path = self.pictures[position].path
        try:
            return Picture(position, str(path), crew.carried(path))
        except OSError as error:
            self.unreadable[position] = f"cannot read {path}: {error.strerror or error}"
            return None

    def _check_classes(self, subject: Subject) -> None:
        if subject.contract.classes != self.contract.classes:
            raise LabelError(
                f"{subject.path.name} has {subject.contract.classes} classes, "
                f"not {self.contract.classes} as the others"
            )

    def _name(self, position: int) -> str:
        root = self.options.images
        folder = root if root.is_dir() else root.parent
        return Path(os.path.relpath(self.pictures[position].path, folder)).as_posix()

    def _new_answers(self) -> AnswerStore:
        return AnswerStore(self.folder / f"{len(self._answers)}.f32", self.contract.classes)

    def _runtime_asked(self, subject: Subject) -> str | None:
        return None if subject.format == "keras" else self.options.runtime

    def _result(
        self,
        subject: Subject,
        runtime: str,
        tally: Tally,
        changes: AnswerChanges | None,
        reference: Subject | None,
    ) -> Result:
        none: dict[str, None] = {"changes": None, "classes": None}
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
                **(changes.data(self.contract) if changes else none),
            },
        )


def _chunk_size(batch: int | None) -> int:
    """Whole batches; one where the artifact takes any number."""
    return batch * max(1, _CHUNK // batch) if batch else _CHUNK
