"""What the outputs of each task mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import BOXES, EMBEDDING, PROBABILITIES, SCORES, Contract, Task
from edgeferry.runtimes.results import Detection, Mask, Prediction
from edgeferry.runtimes.suppression import suppress
from edgeferry.views import View

Outputs = Mapping[str, NDArray[np.float32]]
"""Of one picture, by name."""


@dataclass(frozen=True)
class DecodingOptions:
    """What to make of outputs.

    Attributes:
        top_k: How many answers a classifier gives.
        least_score: What a detector is less sure of is dropped.
        overlap: Intersection over union above which two boxes of a class are the same thing.
        most: Largest number of detections.
    """

    top_k: int = 5
    least_score: float = 0.25
    overlap: float = 0.45
    most: int = 100


def decode_classification(
    outputs: Outputs, contract: Contract, options: DecodingOptions, view: View | None = None
) -> list[Prediction]:
    """The best classes of one picture, best first; of equals the lower number first."""
    scores = outputs[PROBABILITIES]
    count = min(options.top_k, len(scores))
    threshold = np.partition(scores, -count)[-count]
    candidates = np.flatnonzero(scores >= threshold)
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return [Prediction(contract.label(int(i)), int(i), float(scores[i])) for i in best]


def decode_segmentation(
    outputs: Outputs, contract: Contract, options: DecodingOptions, view: View | None = None
) -> Mask:
    """The likeliest class of every pixel."""
    scores = outputs[PROBABILITIES]
    height, width, classes = scores.shape
    if classes == 1:
        scores = np.concatenate([1 - scores, scores], axis=-1)
        found = (scores[..., 1] >= scores[..., 0]).astype(np.int32)
    else:
        found = scores.argmax(axis=-1).astype(np.int32)
    sure = np.take_along_axis(scores, found[..., None], axis=-1)[..., 0]
    return Mask(found, sure, contract.labels, view or View.whole(width, height))


def decode_detection(
    outputs: Outputs, contract: Contract, options: DecodingOptions, view: View | None = None
) -> list[Detection]:
    """The things on one picture, the surest first."""
    view = view or View.whole(contract.input.width, contract.input.height)
    found = suppress(
        outputs[BOXES], outputs[SCORES], options.least_score, options.overlap, options.most
    )
    return [
        Detection(contract.label(each.index), each.index, each.score, _on_picture(each.box, view))
        for each in found
    ]


def decode_embedding(
    outputs: Outputs, contract: Contract, options: DecodingOptions, view: View | None = None
) -> NDArray[np.float32]:
    """The vector of one picture."""
    return outputs[EMBEDDING]


def decode_raw(
    outputs: Outputs, contract: Contract, options: DecodingOptions, view: View | None = None
) -> dict[str, NDArray[np.float32]]:
    """The outputs as they are, by name."""
    return dict(outputs)


Decoder = Callable[[Outputs, Contract, DecodingOptions, View | None], Any]
DECODERS: Mapping[Task, Decoder] = {
    "classification": decode_classification,
    "segmentation": decode_segmentation,
    "detection": decode_detection,
    "embedding": decode_embedding,
    "raw": decode_raw,
}
"""How the outputs of one picture become its result, by task.

Each takes them with the contract, the options, and what part of the picture the network saw;
None is all of it, at the network's size.
"""
PLACED: frozenset[Task] = frozenset({"segmentation", "detection"})
"""Tasks whose results lie somewhere on the picture."""


def _on_picture(box: NDArray[np.float32], view: View) -> tuple[float, float, float, float]:
    """From shares of what the network saw to pixels of the picture, within it."""
    left, right = (_placed(box[each], view.left, view.right, view.width) for each in (0, 2))
    top, bottom = (_placed(box[each], view.top, view.bottom, view.height) for each in (1, 3))
    return left, top, right, bottom


def _placed(share: np.float32, low: float, high: float, length: int) -> float:
    return min(max(low + float(share) * (high - low), 0.0), float(length))
