"""Judging one model after another on the same pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.accuracy import Probabilities, Tally
from edgeferry.app.answer_changes import AnswerChanges
from edgeferry.app.answer_store import AnswerStore
from edgeferry.app.engine_pool import EnginePool, fastest_jobs, in_order
from edgeferry.app.results import Result
from edgeferry.app.subjects import Subject
from edgeferry.contract import Contract, InputSpec
from edgeferry.errors import ImageError, LabelError
from edgeferry.images import to_input
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
        reference: Trained model or artifact to compare with; None takes the fp32 artifact,
            of the same format where there is one.
        labels: Labels file, where the artifacts carry none.
        runtime: Engine for the artifacts; None takes the first one installed.
        engine: How engines run; where threads are left open, engines share out the cores.
        jobs: Engines of one artifact side by side; None is what is fastest here. A trained
            model always has one.
    """

    images: Path
    reference: Path | None = None
    labels: Path | None = None
    runtime: str | None = None
    engine: RuntimeOptions = field(default_factory=RuntimeOptions)
    jobs: int | None = None


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
        unreadable: What is wrong with pictures that are skipped, by position.
    """

    contract: Contract
    options: EvaluationOptions
    folder: Path
    progress: Progress = silent
    unreadable: dict[int, str] = field(default_factory=dict)
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
        if own is not None:
            self._answers[subject.path] = own
        return self._result(subject, runtime, tally, changes, reference if theirs else None)

    def warnings(self) -> list[str]:
        """What the user should know of the pictures."""
        if not self.unreadable:
            return []
        first = self.unreadable[min(self.unreadable)]
        return [f"{len(self.unreadable)} of {len(self.pictures)} pictures skipped, e.g. {first}"]

    def _answered(
        self, subject: Subject, runtime: str
    ) -> Iterator[tuple[list[int], Probabilities]]:
        """Positions and answers in the pictures' order; decoding runs ahead of the engines."""
        options, spec = self.options.engine, subject.contract.input
        jobs = 1 if subject.format == "keras" else self.options.jobs
        jobs = jobs or fastest_jobs(subject, options)
        with EnginePool(subject, runtime, options, jobs) as engines:

            def answer(chunk: range) -> tuple[int, list[int], Probabilities | None]:
                positions, images = self._decoded(chunk, spec)
                found = engines.predict_proba(np.stack(images)) if images else None
                return chunk.stop, positions, found

            # Each thread decodes and then waits for its engine: one more would only take
            # the processor away from an engine at work.
            chunks = self._chunks(_chunk_size(spec.batch))
            for done, positions, found in in_order(answer, chunks, max(2, jobs)):
                self.progress(f"evaluating {subject.path.name}", done, len(self.pictures))
                if found is not None:
                    yield positions, found

    def _chunks(self, size: int) -> Iterator[range]:
        total = len(self.pictures)
        return (range(start, min(start + size, total)) for start in range(0, total, size))

    def _decoded(
        self, positions: Sequence[int], spec: InputSpec
    ) -> tuple[list[int], list[NDArray[np.uint8]]]:
        """The readable ones of some pictures: their positions and pixels."""
        decoded = [(position, self._decode(position, spec)) for position in positions]
        readable = [(position, pixels) for position, pixels in decoded if pixels is not None]
        return [position for position, _ in readable], [pixels for _, pixels in readable]

    def _decode(self, position: int, spec: InputSpec) -> NDArray[np.uint8] | None:
        if position in self.unreadable:
            return None
        try:
            return to_input(self.pictures[position].path, spec)
        except ImageError as error:
            self.unreadable[position] = error.problem
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
