"""A chunk of pictures, as they lie in their files, to probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeferry.app.accuracy import Probabilities
from edgeferry.app.engine_pool import EnginePool, fastest_jobs
from edgeferry.app.subjects import Subject
from edgeferry.errors import ImageError
from edgeferry.images import UNNAMED, to_input
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.registry import RUNTIMES


@dataclass(frozen=True)
class Picture:
    """One picture to be answered.

    Attributes:
        position: Its place among all of them.
        name: What messages call it.
        content: Its file, or the bytes of that.
    """

    position: int
    name: str
    content: Path | bytes


@dataclass(frozen=True)
class Answers:
    """What came of a chunk.

    Attributes:
        positions: Of the pictures that could be read.
        probabilities: Of these, float32 ``[N, classes]``; None if there is none.
        unreadable: What is wrong with the others, by position.
    """

    positions: list[int]
    probabilities: Probabilities | None
    unreadable: dict[int, str]


@dataclass(frozen=True)
class Engines:
    """One model open in engines: the resource that answering takes.

    Attributes:
        subject: The model.
        runtime: Name of the engine.
        options: How it runs.
        jobs: Engines side by side; None is what is fastest. A trained model always has one.
    """

    subject: Subject
    runtime: str
    options: RuntimeOptions
    jobs: int | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The model's file."""
        return (self.subject.path,)

    @property
    def packages(self) -> tuple[str, ...]:
        """What the engine comes in."""
        return RUNTIMES.entry(self.runtime).requires

    @contextmanager
    def opened(self, paths: Sequence[Path], cores: int | None = None) -> Iterator[EnginePool]:
        """Open the engines.

        Raises:
            EdgeferryError: If the engine or its options do not suit the model.
        """
        subject = replace(self.subject, path=paths[0])
        jobs = 1 if subject.format == "keras" else self.jobs
        jobs = jobs or fastest_jobs(subject, self.options, cores)
        with EnginePool(subject, self.runtime, self.options, jobs, cores) as engines:
            yield engines


def answer(engines: EnginePool, chunk: Sequence[Picture]) -> Answers:
    """Decode pictures and answer those that can be read, in one batch.

    Raises:
        EngineError: If the engine fails.
    """
    positions, images, unreadable = [], [], {}
    for picture in chunk:
        try:
            images.append(to_input(picture.content, engines.spec))
            positions.append(picture.position)
        except ImageError as error:
            unreadable[picture.position] = error.problem.replace(UNNAMED, picture.name, 1)
    found = engines.predict_proba(np.stack(images)) if images else None
    return Answers(positions, found, unreadable)
