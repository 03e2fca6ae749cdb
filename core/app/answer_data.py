"""Results of every task as plain data, a row for each thing that is told of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeferry.runtimes.results import Detection, Mask, Prediction

Row = dict[str, Any]


def answer_rows(result: Any) -> list[Row]:
    """What is told of one picture, the surest or largest first; empty for bare arrays.

    Args:
        result: What ``Predictor.predict`` gave for it.
    """
    if isinstance(result, Mask):
        return _mask_rows(result)
    if isinstance(result, list):
        return [_row(each) for each in result]
    return []


def answer_arrays(result: Any) -> dict[str, Any] | None:
    """The arrays that a picture's result is, by name, as nested lists; None for other tasks."""
    if isinstance(result, np.ndarray):
        return {"embedding": result.tolist()}
    if isinstance(result, dict):
        return {name: array.tolist() for name, array in result.items()}
    return None


def _row(each: Prediction | Detection) -> Row:
    row: Row = {"label": each.label, "index": each.index, "score": each.score}
    if isinstance(each, Detection):
        row["box"] = list(each.box)
    return row


def _mask_rows(mask: Mask) -> list[Row]:
    """Each class that was found, with its mean probability and its share of the pixels."""
    found, counts = np.unique(mask.classes, return_counts=True)
    rows = [
        {
            "label": mask.label(int(index)),
            "index": int(index),
            "score": float(mask.scores[mask.classes == index].mean()),
            "share": float(count / mask.classes.size),
        }
        for index, count in zip(found, counts, strict=True)
    ]
    return sorted(rows, key=lambda row: -float(row["share"]))
