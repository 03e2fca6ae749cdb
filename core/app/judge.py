"""Judging one model after another on the same pictures."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.accuracy import Probabilities, Tally
from edgeferry.app.answer_changes import AnswerChanges
from edgeferry.app.results import Result
from edgeferry.app.subjects import Subject
from edgeferry.contract import Contract, InputSpec
from edgeferry.errors import ImageError, LabelError
from edgeferry.images import to_input
from edgeferry.labels import check_labels, read_labels
from edgeferry.pictures import LabeledPicture, labeled_pictures
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import Predictor
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime

FREE_BATCH = 16
"""Pictures per inference where the artifact takes any number."""

T = TypeVar("T")
R = TypeVar("R")


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
        jobs: Engines side by side, each with the threads of ``engine``: one each where that
            leaves it open and there are several.
    """

    images: Path
    reference: Path | None = None
    labels: Path | None = None
    runtime: str | None = None
    engine: RuntimeOptions = field(default_factory=RuntimeOptions)
    jobs: int = 1


@dataclass
class Judge:
    """Judges models on one set of pictures.

    Memory does not grow with the number of pictures: each is decoded when its turn comes, and
    the answers of references are kept in files.

    Attributes:
        contract: Of the artifacts: labels and number of classes.
        options: What to judge on, and how.
        folder: For the answers that are kept.
        progress: Told each picture.
    """

    contract: Contract
    options: EvaluationOptions
    folder: Path
    progress: Progress = silent
    unreadable: dict[Path, str] = field(default_factory=dict)
    _answers: dict[Path, Probabilities] = field(default_factory=dict)

    def __post_init__(self) -> None:
        file, labels = self.options.labels, self.contract.labels
        if file is not None:
            labels = read_labels(file)
            check_labels(labels, self.contract.classes)
        self.pictures = labeled_pictures(self.options.images, labels, self.contract.classes)

    def judge(self, subject: Subject, reference: Subject | None, keep: bool = False) -> Result:
        """Measure one model.

        Args:
            subject: The model.
            reference: What it is compared with; compared only if its answers were kept.
            keep: Keep its answers, since others are compared with them.

        Raises:
            EdgeferryError: If it cannot be opened or run, or no picture can be read.
        """
        if subject.contract.classes != self.contract.classes:
            raise LabelError(
                f"{subject.path.name} has {subject.contract.classes} classes, "
                f"not {self.contract.classes} as the others"
            )
        theirs = self._answers.get(reference.path) if reference else None
        own = self._new_answers() if keep else None
        runtime = choose_runtime(subject.format, self._runtime_asked(subject))
        tally, changes = Tally(subject.contract.head), AnswerChanges(self._name)
        for positions, probabilities in self._answered(subject, runtime):
            if own is not None:
                own[positions] = probabilities
            truth = [self.pictures[position].index for position in positions]
            before = None if theirs is None else theirs[positions]
            tally.add(probabilities, truth, before)
            if before is not None:
                changes.add(positions, truth, probabilities, before)
        if not tally.images:
            raise ImageError(f"none of the pictures in {self.options.images} can be read")
        if own is not None:
            self._answers[subject.path] = own
        compared = reference if theirs is not None else None
        return _result(subject, runtime, tally, changes, compared)

    def warnings(self) -> list[str]:
        """What the user should know of the pictures."""
        if not self.unreadable:
            return []
        first = next(iter(self.unreadable.values()))
        return [f"{len(self.unreadable)} of {len(self.pictures)} pictures skipped, e.g. {first}"]

    def _answered(
        self, subject: Subject, runtime: str
    ) -> Iterator[tuple[list[int], Probabilities]]:
        """Positions and answers, in order; decoding runs ahead of the engines."""
        jobs = 1 if subject.format == "keras" else self.options.jobs
        spec, total = subject.contract.input, len(self.pictures)
        size = spec.batch or FREE_BATCH
        chunks = (range(start, min(start + size, total)) for start in range(0, total, size))
        with self._engines(subject, runtime, jobs) as engines:

            def answer(positions: Sequence[int]) -> tuple[list[int], Probabilities | None]:
                decoded = [(each, self._decode(self.pictures[each], spec)) for each in positions]
                readable = [(each, pixels) for each, pixels in decoded if pixels is not None]
                if not readable:
                    return [], None
                with engines() as predictor:
                    found = predictor.predict_proba(np.stack([pixels for _, pixels in readable]))
                return [each for each, _ in readable], found

            for positions, found in _in_order(answer, chunks, jobs + 1):
                if found is not None:
                    yield positions, found
                    name = f"evaluating {subject.path.name}"
                    self.progress(name, positions[-1] + 1, total)

    @contextmanager
    def _engines(self, subject: Subject, runtime: str, jobs: int) -> Iterator[Any]:
        """Open an artifact in several engines; gives what lends one of them."""
        options = self.options.engine
        if jobs > 1:
            options = replace(options, threads=options.threads or 1)
        free: SimpleQueue[Predictor] = SimpleQueue()
        with ExitStack() as stack:
            for _ in range(jobs):
                engine = RUNTIMES.load(runtime)(subject.path, subject.contract, options)
                free.put(stack.enter_context(Predictor(engine.open())))

            @contextmanager
            def lent() -> Iterator[Predictor]:
                predictor = free.get()
                try:
                    yield predictor
                finally:
                    free.put(predictor)

            yield lent

    def _decode(self, picture: LabeledPicture, spec: InputSpec) -> NDArray[np.uint8] | None:
        if picture.path in self.unreadable:
            return None
        try:
            return to_input(picture.path, spec)
        except ImageError as error:
            self.unreadable[picture.path] = error.problem
            return None

    def _name(self, position: int) -> str:
        root = self.options.images
        folder = root if root.is_dir() else root.parent
        return os.path.relpath(self.pictures[position].path, folder)

    def _new_answers(self) -> Probabilities:
        shape = (len(self.pictures), self.contract.classes)
        file = self.folder / f"{len(self._answers)}.npy"
        return np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)

    def _runtime_asked(self, subject: Subject) -> str | None:
        return None if subject.format == "keras" else self.options.runtime


def _in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """What a pool of threads makes of some items, in their order, a few of them ahead."""
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _result(
    subject: Subject,
    runtime: str,
    tally: Tally,
    changes: AnswerChanges,
    reference: Subject | None,
) -> Result:
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
            **changes.data(subject.contract),
        },
    )
