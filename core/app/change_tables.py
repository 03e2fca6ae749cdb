"""Which answers changed, for humans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeferry.app.results import Result
from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_PICTURES, _LEAST_PICTURES = 20, 3
"""How many pictures are shown in all, and of each artifact; ``--json`` has all."""
_CLASSES = 5


def change_tables(results: Sequence[Result]) -> list[RenderableType]:
    """For each artifact the answers that changed, the surest first, and the classes they cost.

    Args:
        results: Of an evaluation.
    """
    changed = [result for result in results if result.extra["changes"]]
    rows = max(_LEAST_PICTURES, _PICTURES // max(1, len(changed)))
    return [shown for result in changed for shown in _shown(result, rows)]


def _shown(result: Result, rows: int) -> Iterator[RenderableType]:
    yield _pictures(result, rows)
    lost = [each for each in result.extra["classes"] if each["right"] < each["reference_right"]]
    if lost:
        most = "; ".join(map(_loss, lost[:_CLASSES]))
        more = f" and {len(lost) - _CLASSES} more" if len(lost) > _CLASSES else ""
        what = "right answers" if result.extra["labeled"] else "the same answers"
        yield f"{result.artifact} gives fewer {what} in: {most}{more}\n"


def _pictures(result: Result, rows: int) -> Table:
    changes = result.extra["changes"]
    surest = sorted(changes, key=lambda each: -(each["reference"]["score"] or 0))[:rows]
    table = empty_table("picture", "true", result.extra["reference"], "score", "answer", "score")
    table.title = f"{result.artifact}: {len(changes)} of {result.images} answers changed"
    table.title_justify, table.caption_justify = "left", "left"
    for change in surest:
        table.add_row(*_cells(change))
    if len(changes) > len(surest):
        table.caption = f"{len(changes) - len(surest)} more; --json lists all"
    return table


def _loss(each: Mapping[str, Any]) -> str:
    return f"{each['label']} ({each['right']} of {each['pictures']}, was {each['reference_right']})"


def _cells(change: Mapping[str, Any]) -> list[str]:
    true, before, after = change["true"], change["reference"], change["answer"]
    return [
        change["picture"],
        MISSING if true is None else true["label"],
        before["label"],
        _shown_score(before),
        after["label"],
        _shown_score(after),
    ]


def _shown_score(answer: Mapping[str, Any]) -> str:
    return MISSING if answer["score"] is None else f"{answer['score']:.3f}"
