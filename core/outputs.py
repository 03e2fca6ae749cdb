"""What a source gives, and the task that makes of it: names, shapes and what must be known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from edgeferry.contract import BOXES, EMBEDDING, INPUT_NAME, PROBABILITIES, SCORES, OutputSpec, Task
from edgeferry.errors import UsageError

TASKS: tuple[str, ...] = get_args(Task)
_OWN_NAMES = frozenset({INPUT_NAME, "entry", "net"})
"""Taken inside of the graph."""


def task_of(name: str, given: Sequence[OutputSpec], told: str | None) -> Task:
    """The task of a source, from what it gives or by the user's word.

    Args:
        name: The source's, for errors.
        given: Its outputs.
        told: The user's word; None reads it from the shapes.

    Raises:
        UsageError: If the outputs do not tell the task, or do not suit the one told.
    """
    fitting: list[Task] = [task for task in get_args(Task) if _fits(task, given)]
    if told is None:
        # An embedding looks like scores, and everything may be raw: these must be told.
        read = [task for task in fitting if task not in ("embedding", "raw")]
        if not read:
            raise UsageError(
                f"{name} gives {_listed(given)}: what that means is not known",
                "Say it with --task: raw takes outputs as they are; detection needs "
                f"{BOXES} [M, 4] and {SCORES} [M, classes]",
            )
        return read[0]
    for task in fitting:
        if task == told:
            return task
    if told not in TASKS:
        raise UsageError(f"unknown task {told!r}; known: {', '.join(TASKS)}")
    raise UsageError(
        f"{name} gives {_listed(given)}, which does not suit {told}",
        f"It suits: {', '.join(fitting)}",
    )


def contract_outputs(task: Task, given: Sequence[OutputSpec]) -> list[OutputSpec]:
    """The outputs as the contract names and shapes them, in the source's order."""
    if task == "raw":
        return [OutputSpec(_clean(output.name), output.shape) for output in given]
    if task == "detection":
        return list(given)
    (output,) = given
    if task == "segmentation":
        return [OutputSpec(PROBABILITIES, output.shape)]
    name = PROBABILITIES if task == "classification" else EMBEDDING
    return [OutputSpec(name, output.shape[-1:])]


def classes_of(task: Task, outputs: Sequence[OutputSpec]) -> int:
    """Number of classes; 0 for tasks that know none."""
    if task in ("embedding", "raw"):
        return 0
    return next(output.shape[-1] for output in outputs if output.name != BOXES)


def _fits(task: Task, given: Sequence[OutputSpec]) -> bool:
    shapes = {output.name: output.shape for output in given}
    if task == "raw":
        return True
    if task == "detection":
        boxes, scores = shapes.get(BOXES, ()), shapes.get(SCORES, ())
        same = len(boxes) == len(scores) == 2 and boxes[0] == scores[0] and boxes[1] == 4
        return len(given) == 2 and same
    if len(given) != 1 or not given[0].shape:
        return False
    *between, _ = given[0].shape
    is_vector = all(size == 1 for size in between)
    return len(between) == 2 and not is_vector if task == "segmentation" else is_vector


def _listed(given: Sequence[OutputSpec]) -> str:
    return ", ".join(f"{each.name} [N, {', '.join(map(str, each.shape))}]" for each in given)


def _clean(name: str) -> str:
    """Without what paths of operations are made of."""
    clean = re.sub(r"[^\w.-]", "_", name)
    return f"{clean}_output" if clean in _OWN_NAMES else clean
