"""Which answers changed, for humans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeferry.app.results import Result
from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_PICTURES, _CLASSES = 10, 5
"""How many are shown of each artifact; ``--json`` has them all."""


def change_tables(results: Sequence[Result]) -> list[RenderableType]:
    """For each artifact the changed answers, the surest of the reference's first, and the classes.

    Args:
        results: Of an evaluation.
    """
    return [table for result in results for table in _tables(result)]


def _tables(result: Result) -> Iterator[RenderableType]:
    changes, classes = result.extra["changes"], result.extra["classes"]
    if changes:
        surest = sorted(changes, key=lambda each: -each["reference"]["score"])[:_PICTURES]
        table = empty_table("picture", "true", result.extra["reference"], "", "answer", "")
        table.title = f"{result.artifact}: {_counted(len(changes), 'changed answer')}"
        table.title_justify, table.caption_justify = "left", "left"
        for change in surest:
            table.add_row(*_cells(change))
        if len(changes) > len(surest):
            table.caption = f"{len(changes) - len(surest)} more; --json lists them all"
        yield table
    worse = [each for each in classes if each["right"] < each["reference_right"]][:_CLASSES]
    if worse:
        lost = ", ".join(
            f"{each['label']} {each['reference_right']} -> {each['right']} of {each['pictures']}"
            for each in worse
        )
        yield f"{result.artifact}: classes that lost most: {lost}"


def _cells(change: Mapping[str, Any]) -> list[str]:
    true, before, after = change["true"], change["reference"], change["answer"]
    return [
        change["picture"],
        MISSING if true is None else true["label"],
        before["label"],
        f"{before['score']:.3f}",
        after["label"],
        f"{after['score']:.3f}",
    ]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
