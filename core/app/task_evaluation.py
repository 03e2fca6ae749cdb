"""Evaluation of networks that are no classifiers: masks, boxes, embeddings, bare outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite, log10
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.accuracy import divergences
from edgeferry.app.detection_accuracy import LEAST_SCORE, average_precision, read_true_boxes
from edgeferry.app.results import Result
from edgeferry.app.segmentation_accuracy import Overlap, TrueMasks
from edgeferry.app.subjects import Subject
from edgeferry.contract import PROBABILITIES, Contract
from edgeferry.errors import ImageError, UsageError
from edgeferry.images import to_input_and_view
from edgeferry.pictures import find_pictures
from edgeferry.progress import Progress
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import Predictor
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.runtimes.results import Detection, Mask
from edgeferry.runtimes.tasks import DECODERS, DecodingOptions

Outputs = dict[str, NDArray[np.float32]]


class Score(Protocol):
    """Sums up how well one network does."""

    def add(self, picture: Path, result: Any) -> None:
        """Count the result for one picture."""

    def figures(self) -> dict[str, Any]:
        """What came of it, by the keys of results."""


@dataclass
class Nearness:
    """How near the outputs of one network are to those of a reference, summed up.

    Attributes:
        contract: Of the network.
        compared: Number of pictures.
        signal: Sum of the squared values of the reference.
        noise: Sum of the squared differences from them.
        pixels: Number of pixels whose classes were compared; ``same`` counts equal ones.
        divergence: Sum over them of the divergence of the probabilities, nats.
    """

    contract: Contract
    compared: int = 0
    signal: float = 0.0
    noise: float = 0.0
    pixels: int = 0
    same: int = 0
    divergence: float = 0.0

    def add(self, own: Outputs, reference: Outputs) -> None:
        """Compare the outputs for one picture."""
        self.compared += 1
        for name, values in reference.items():
            expected = values.astype(np.float64)
            self.signal += float((expected**2).sum())
            self.noise += float(((own[name] - expected) ** 2).sum())
        if self.contract.task == "segmentation":
            self._add_pixels(own[PROBABILITIES], reference[PROBABILITIES])

    def figures(self) -> dict[str, Any]:
        """Agreement and divergence are those of pixels; None without a reference."""
        known = self.signal > 0 and self.noise > 0 and isfinite(self.signal + self.noise)
        per_pixel = self.divergence / self.pixels if self.pixels else None
        return {
            "sqnr_db": 10 * log10(self.signal / self.noise) if known else None,
            "agreement": 100 * self.same / self.pixels if self.pixels else None,
            "kl": max(0.0, per_pixel) if per_pixel is not None and isfinite(per_pixel) else None,
        }

    def _add_pixels(self, own: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
        classes = own.shape[-1]
        mine, theirs = (each.reshape(-1, classes).astype(np.float64) for each in (own, reference))
        self.pixels += len(mine)
        self.divergence += float(divergences(theirs, mine, self.contract.head).sum())
        if classes == 1:
            self.same += int(np.sum((mine >= 0.5) == (theirs >= 0.5)))
        else:
            self.same += int(np.sum(mine.argmax(axis=1) == theirs.argmax(axis=1)))


class MaskScore:
    """Intersection over union with true masks."""

    def __init__(self, truth: Path, root: Path, contract: Contract) -> None:
        self._masks, self._root = TrueMasks(truth), root
        self._contract, self._overlap = contract, Overlap(contract.classes)

    def add(self, picture: Path, result: Mask) -> None:
        """Count the mask of one picture."""
        self._overlap.add(self._masks.of(picture, self._root), result)

    def figures(self) -> dict[str, Any]:
        """Percent, of all classes and of each."""
        return {"mean_iou": self._overlap.mean(), "class_iou": self._overlap.by_class()}


class BoxScore:
    """Mean average precision with true boxes; memory grows with the number of detections."""

    def __init__(self, truth: Path, root: Path, contract: Contract) -> None:
        self._true, self._root = read_true_boxes(truth, contract), root
        self._found: dict[str, list[Detection]] = {}

    def add(self, picture: Path, result: list[Detection]) -> None:
        """Count the detections of one picture, if the truth knows it."""
        name = picture.relative_to(self._root).as_posix()
        known = name if name in self._true.images else picture.name
        if known in self._true.images:
            self._found[known] = result

    def figures(self) -> dict[str, Any]:
        """Percent.

        Raises:
            UsageError: If the truth knows none of the pictures.
        """
        if not self._found:
            raise UsageError("the true boxes are of none of these pictures: the file names differ")
        return average_precision(self._true, self._found)


@dataclass
class TaskJudge:
    """Judges networks one after another, each beside its reference.

    Attributes:
        images: Folder or list of the pictures.
        truth: Folder of masks, or boxes in COCO's form; None compares with the reference only.
        runtime: Engine for the artifacts; None takes the first one installed.
        options: How engines run.
        progress: Told each picture.
        unreadable: What is wrong with pictures that are skipped, by their path.
    """

    images: Path
    truth: Path | None
    runtime: str | None
    options: RuntimeOptions
    progress: Progress
    unreadable: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pictures = [each.path for each in find_pictures(self.images)]
        self.root = self.images if self.images.is_dir() else self.images.parent

    def judge(self, subject: Subject, reference: Subject | None) -> Result:
        """Measure one network.

        Raises:
            EdgeferryError: If it cannot be opened or run, or no picture can be read.
        """
        contract = subject.contract
        score = self._score(contract)
        nearness, count = Nearness(contract), 0
        decode, told = DECODERS[contract.task], DecodingOptions(least_score=LEAST_SCORE)
        with self._opened(subject) as own:
            theirs = None if reference is None else self._opened(reference)
            try:
                for picture, image, view in self._inputs(contract, subject):
                    outputs = own.predict_outputs(image)
                    if score is not None:
                        score.add(picture, decode(outputs, contract, told, view))
                    if theirs is not None:
                        nearness.add(outputs, theirs.predict_outputs(image))
                    count += 1
            finally:
                if theirs is not None:
                    theirs.close()
        if not count:
            raise ImageError(f"none of the pictures in {self.images} can be read")
        figures = {**nearness.figures(), **(score.figures() if score is not None else {})}
        return self._result(subject, reference, count, figures)

    def _score(self, contract: Contract) -> Score | None:
        if self.truth is None:
            return None
        if contract.task == "segmentation":
            return MaskScore(self.truth, self.root, contract)
        if contract.task == "detection":
            return BoxScore(self.truth, self.root, contract)
        raise UsageError(
            f"nothing is true or false of the outputs of {contract.task}",
            "They are compared with a reference: leave --truth out",
        )

    def _opened(self, subject: Subject) -> Predictor:
        asked = None if subject.format == "keras" else self.runtime
        engine = RUNTIMES.load(choose_runtime(subject.format, asked))
        return Predictor(engine(subject.path, subject.contract, self.options).open())

    def _inputs(self, contract: Contract, subject: Subject) -> Iterator[tuple[Path, Any, Any]]:
        """Each picture that can be read, as the network takes it, and what part that is."""
        for number, picture in enumerate(self.pictures, 1):
            if picture not in self.unreadable:
                try:
                    yield picture, *to_input_and_view(picture, contract.input)
                except ImageError as error:
                    self.unreadable[picture] = error.problem
            self.progress(f"evaluating {subject.path.name}", number, len(self.pictures))

    def _result(
        self, subject: Subject, reference: Subject | None, count: int, figures: dict[str, Any]
    ) -> Result:
        common = {key: figures.pop(key) for key in ("sqnr_db", "agreement", "kl")}
        none = {"labeled": 0, "top1_low": None, "top1_high": None, "changes": None, "classes": None}
        return Result(
            artifact=subject.path.name,
            format=subject.format,
            precision=subject.contract.precision,
            runtime=choose_runtime(
                subject.format, None if subject.format == "keras" else self.runtime
            ),
            images=count,
            size_bytes=subject.size_bytes,
            **common,
            extra={
                **none,
                **subject.digests(),
                "reference": reference.path.name if reference else None,
                **figures,
            },
        )

    def warnings(self) -> list[str]:
        """What the user should know of the pictures."""
        if not self.unreadable:
            return []
        first = next(iter(self.unreadable.values()))
        total = len(self.pictures)
        return [f"{len(self.unreadable)} of {total} pictures skipped, e.g. {first}"]


def same_task(subjects: Sequence[Subject]) -> str:
    """The task that all are of.

    Raises:
        UsageError: If they are of several.
    """
    tasks = sorted({each.contract.task for each in subjects})
    if len(tasks) > 1:
        raise UsageError(f"these are networks for {' and '.join(tasks)}", "Evaluate each by itself")
    return tasks[0]
