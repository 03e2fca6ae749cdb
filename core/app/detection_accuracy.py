"""Mean average precision of detections, by COCO's own evaluation (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.checked import read_json
from edgeferry.contract import Contract
from edgeferry.errors import LabelError, UsageError
from edgeferry.labels import match_label
from edgeferry.registry import is_installed, missing_dependency
from edgeferry.runtimes.results import Detection

LEAST_SCORE = 0.01
"""What is less sure is left out: precision is averaged down to full recall."""


@dataclass(frozen=True)
class TrueBoxes:
    """What is really on the pictures.

    Attributes:
        document: In COCO's form, its categories numbered as the network's classes.
        images: Numbers of the pictures by file name.
    """

    document: Mapping[str, Any]
    images: Mapping[str, int]


def read_true_boxes(path: Path, contract: Contract) -> TrueBoxes:
    """Read a COCO annotation file, and match its categories with the network's classes by name.

    Args:
        path: JSON with ``images``, ``annotations`` and ``categories``.
        contract: Tells the labels; without, categories count in the order of their numbers.

    Raises:
        UsageError: If it is no such file.
        LabelError: If a category matches no class.
        MissingDependencyError: If pycocotools is not installed.
    """
    if not is_installed("pycocotools"):
        raise missing_dependency("mean average precision", ("pycocotools",), "detection")
    try:
        data = read_json(path.read_text(encoding="utf-8"))
        order = sorted(data["categories"], key=lambda each: int(each["id"]))
        classes = {each["id"]: _class_of(each, at, contract) for at, each in enumerate(order)}
        annotations = [
            {
                "id": number,
                "image_id": each["image_id"],
                "category_id": classes[each["category_id"]],
                "bbox": [float(side) for side in each["bbox"]],
                "area": float(each["bbox"][2] * each["bbox"][3]),
                "iscrowd": int(each.get("iscrowd", 0)),
            }
            for number, each in enumerate(data["annotations"], 1)
        ]
        images = {str(each["file_name"]): int(each["id"]) for each in data["images"]}
    except OSError as error:
        raise UsageError(f"cannot read the true boxes {path}: {error.strerror}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} holds no boxes in COCO's form: {error!r}",
            "It has images, annotations with bbox [x, y, width, height], and categories",
        ) from error
    categories = [{"id": index, "name": contract.label(index)} for index in range(contract.classes)]
    listed = [{"id": number, "file_name": name} for name, number in images.items()]
    document = {"info": {}, "images": listed, "annotations": annotations, "categories": categories}
    return TrueBoxes(document, images)


def average_precision(
    true: TrueBoxes, found: Mapping[str, Sequence[Detection]]
) -> dict[str, float | None]:
    """Percent of mean average precision.

    Args:
        true: What is really there.
        found: Detections by the picture's file name, those of ``true`` only; pictures that are
            not in it do not count.

    Returns:
        ``map`` over overlaps of 0.5 to 0.95, and ``map50`` at 0.5; None where nothing is there.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rows = [
        {
            "image_id": true.images[name],
            "category_id": each.index,
            "bbox": [
                each.box[0],
                each.box[1],
                each.box[2] - each.box[0],
                each.box[3] - each.box[1],
            ],
            "score": each.score,
        }
        for name, detections in found.items()
        for each in detections
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints whatever it does
        truth = COCO()
        truth.dataset = dict(true.document)
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(rows) if rows else _nothing(true), "bbox")
        run.params.imgIds = sorted(true.images[name] for name in found)
        run.evaluate()
        run.accumulate()
        run.summarize()
    whole, half = (float(100 * each) if each >= 0 else None for each in run.stats[:2])
    return {"map": whole, "map50": half}


def _nothing(true: TrueBoxes) -> Any:
    """Results without any detection, which ``loadRes`` refuses."""
    from pycocotools.coco import COCO

    empty = COCO()
    empty.dataset = {**true.document, "annotations": []}
    empty.createIndex()
    return empty


def _class_of(category: Mapping[str, Any], position: int, contract: Contract) -> int:
    if contract.labels is not None:
        return match_label(str(category["name"]), contract.labels, contract.classes)
    if position >= contract.classes:
        raise LabelError(f"there are more categories than the network's {contract.classes} classes")
    return position
