"""The process that does heavy jobs; see ``edgeferry.exporters.processes`` for how it talks."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from edgeferry.contract import ResizeRule
from edgeferry.errors import described_error
from edgeferry.integrity import seal_artifact
from edgeferry.progress import Progress
from edgeferry.streams import private_stdout

if TYPE_CHECKING:
    from edgeferry.exporters.base import Exporter, PreparedSource
    from edgeferry.exporters.statistics import Calibration
    from edgeferry.trained_model import TrainedModel

Job = Mapping[str, Any]


class SourceWork:
    """What is asked of the source model, which stays open between the jobs."""

    def __init__(self) -> None:
        self._trained: TrainedModel | None = None

    def prepare(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Fold the contract into it."""
        from edgeferry.exporters.preparation import PreparationOptions, prepare_source
        from edgeferry.trained_model import load_trained_model

        told = job["options"]
        options = PreparationOptions(
            preprocessing=told["preprocessing"],
            task=told["task"],
            head=told["head"],
            labels=told["labels"] and Path(told["labels"]),
            size=told["size"] and tuple(told["size"]),
            batch=told["batch"],
            resize=ResizeRule(**told["resize"]),
            signature=told["signature"],
        )
        progress("reading the source model", 0, 1)
        self._trained = load_trained_model(job["source"], options.signature)
        prepare_source(self._trained, options, Path(job["folder"]))
        progress("reading the source model", 1, 1)
        return {}

    def ask(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Which labeled pictures it gets right, by the name of the preprocessing."""
        from edgeferry.calibration.store import StoredPictures
        from edgeferry.exporters.source_check import right_answers

        assert self._trained is not None
        pictures = StoredPictures(Path(job["pictures"]))
        return {
            mode: right_answers(self._trained, pictures, job["classes"], mode, progress)
            for mode in job["preprocessings"]
        }


class FormatWork:
    """What is asked of the exporter of one format, which stays open between the jobs."""

    def __init__(self) -> None:
        self._source: PreparedSource | None = None
        self._calibration: Calibration | None = None
        self._format = ""
        self._threads: int | None = None
        self._exporters: dict[bool, tuple[Exporter[Any], Any]] = {}

    def open(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Take in the source and the pictures."""
        from edgeferry.calibration.store import StoredPictures
        from edgeferry.exporters.base import PreparedSource
        from edgeferry.exporters.statistics import Calibration

        self._source = PreparedSource.load(Path(job["prepared"]))
        self._format = job["format"]
        self._threads = job["threads"]
        told = job["calibration"]
        self._calibration = told and Calibration(
            StoredPictures(Path(told["path"])),
            told["sha256"],
            batch=self._source.contract.input.batch or 1,
        )
        self._opened(equalized=False, progress=progress)
        return {}

    def make(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Write one artifact; nothing of it stays if that fails."""
        from edgeferry.exporters.recipes import Recipe

        recipe, destination = Recipe.from_dict(job["recipe"]), Path(job["destination"])
        started = time.perf_counter()
        exporter, prepared = self._opened(recipe.equalize, progress)
        try:
            exporter.export(prepared, recipe, self._calibration, destination)
            seal_artifact(destination)
        except BaseException:
            for suffix in exporter.suffixes:
                destination.with_suffix(suffix).unlink(missing_ok=True)
            raise
        return {"seconds": time.perf_counter() - started}

    def movement(self, job: Job, progress: Progress) -> dict[str, Any]:
        """How far the ranges still moved over the last half of the pictures, if any were found."""
        from edgeferry.calibration.sufficiency import movement

        exporter, _ = self._opened(equalized=False, progress=progress)
        found = exporter.collected
        return {} if found is None else movement(found.ranges_at_half, found.ranges_at_end())

    def _opened(self, equalized: bool, progress: Progress) -> tuple[Exporter[Any], Any]:
        """The exporter of the source as it is, or equalized, with what its precisions share."""
        from edgeferry.exporters.equalization import equalized as equalize
        from edgeferry.exporters.registry import EXPORTERS

        assert self._source is not None
        if equalized not in self._exporters:
            source = equalize(self._source) if equalized else self._source
            exporter: Exporter[Any] = EXPORTERS.load(self._format)(source, progress, self._threads)
            self._exporters[equalized] = exporter, exporter.prepare()
        exporter, prepared = self._exporters[equalized]
        exporter.progress = progress
        return exporter, prepared


def jobs() -> dict[str, Callable[[Job, Progress], dict[str, Any]]]:
    """What a worker can be asked, by kind."""
    source, format = SourceWork(), FormatWork()
    return {
        "prepare": source.prepare,
        "ask_source": source.ask,
        "open": format.open,
        "make": format.make,
        "movement": format.movement,
    }


def _lines() -> Iterator[str]:
    """Lines of standard input as they come.

    Where it ends, the process that asks is gone: this one ends at once, whatever it is doing.
    """
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def main() -> None:
    """Do the jobs that standard input holds, one a line."""
    answers = private_stdout()
    known = jobs()

    def answer(kind: str, content: object) -> None:
        answers.write(json.dumps({kind: content}) + "\n")

    def progress(step: str, done: int, total: int) -> None:
        answer("progress", [step, done, total])

    for line in _lines():
        job = json.loads(line)
        try:
            result = known[job["kind"]](job, progress)
        except Exception as error:
            answer("error", described_error(error, job["kind"]))
        else:
            answer("result", result)


if __name__ == "__main__":
    main()
