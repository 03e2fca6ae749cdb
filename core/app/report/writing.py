"""A report as a page, Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from edgeferry.app.report.content import Content, content
from edgeferry.app.report.documents import Document, of_command
from edgeferry.app.report.latency_plots import distribution, sustained, trade_off
from edgeferry.app.report.layer_plots import layer_errors, layer_times
from edgeferry.app.report.pictures import Changes, changes
from edgeferry.app.report.plot import Plot
from edgeferry.app.results import Result
from edgeferry.app.tables import (
    ACCURACY,
    ARTIFACT,
    COSTS,
    EXECUTED,
    LATENCY,
    MISSING,
    RUNTIME,
    SIZE,
    number,
)
from edgeferry.app.templates import render
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_write_text
from edgeferry.registry import is_installed, missing_dependency

_KINDS = {".html": "html", ".htm": "html", ".md": "markdown", ".csv": "csv"}
_COLUMNS = (
    ("device", number("device", "{}")),
    ARTIFACT,
    RUNTIME,
    EXECUTED,
    SIZE,
    *ACCURACY,
    *LATENCY,
    *COSTS,
)
_CSV_EXTRA = ("device", "engine", "threads", "sha256", "top1_low", "top1_high", "energy_mj")


def check_outputs(outputs: Sequence[Path]) -> None:
    """Refuse what could not be written, before anything is read.

    Raises:
        UsageError: If there is a suffix that a report cannot be written as.
        OutputError: If a folder is missing.
        MissingDependencyError: If a package is not installed that a page needs.
    """
    for output in outputs:
        if output.suffix.lower() not in _KINDS:
            raise UsageError(f"cannot write {output}", f"Known suffixes: {', '.join(_KINDS)}")
        if not output.parent.is_dir():
            raise OutputError(f"cannot write {output}: there is no folder {output.parent}")
        needed = {"html": ("jinja2", "plotly"), "markdown": ("jinja2",)}
        for module in needed.get(_KINDS[output.suffix.lower()], ()):
            if not is_installed(module):
                raise missing_dependency(f"writing {output.name}", (module,), "report")


def write_report(
    documents: Sequence[Document], outputs: Sequence[Path], images: Path | None, title: str | None
) -> Content:
    """Write a report, each file whole or not at all.

    Args:
        documents: What the runs wrote.
        outputs: Files to write; the suffix decides how.
        images: Where the pictures of the evaluation are; None looks where they were.
        title: Its heading; None names the artifacts.

    Raises:
        UsageError: If the runs hold nothing to show, or are not what they should be.
        OutputError: If a file cannot be written.
    """
    check_outputs(outputs)
    try:
        told, changed = content(documents, title), list(changes(documents, images))
        texts = {kind: _text(kind, told, changed, documents) for kind in _kinds(outputs)}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        names = ", ".join(str(each.path) for each in documents)
        raise UsageError(
            f"{names} cannot be made a report of: {error!r}", "Give files as --json wrote them"
        ) from error
    for output in outputs:
        atomic_write_text(output, texts[_KINDS[output.suffix.lower()]])
    return told


def _kinds(outputs: Sequence[Path]) -> set[str]:
    return {_KINDS[output.suffix.lower()] for output in outputs}


def _text(
    kind: str, told: Content, changed: Sequence[Changes], documents: Sequence[Document]
) -> str:
    if kind == "csv":
        return _csv(told.results)
    columns, rows = _table(told.results)
    filling = {"told": told, "changes": changed, "columns": columns, "rows": rows}
    if kind == "markdown":
        return render("report.md.j2", filling | {"errors": _errors(documents)})
    from plotly.offline import get_plotlyjs

    plots = _plots(told.results, documents)
    return render("report.html.j2", filling | {"plots": plots, "plotly": get_plotlyjs()})


def _plots(results: Sequence[Result], documents: Sequence[Document]) -> list[Plot]:
    """Every plot that there are figures for."""
    found: list[Plot | None] = []
    for device in dict.fromkeys(each.extra.get("device") for each in results):
        own = [each for each in results if each.extra.get("device") == device]
        found += [trade_off(own, device), distribution(own, device), sustained(own, device)]
    found += _errors(documents)
    found += map(layer_times, results)
    return [each for each in found if each is not None]


def _errors(documents: Sequence[Document]) -> list[Plot]:
    return [
        plot
        for document in of_command(documents, "debug")
        if (plot := layer_errors(document)) is not None
    ]


def _table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells, without the columns that hold nothing."""
    cells = [[cell(result) for _, cell in _COLUMNS] for result in results]
    shown = [{row[index] for row in cells} for index in range(len(_COLUMNS))]
    used = [index for index, texts in enumerate(shown) if texts - {MISSING}]
    if len(shown[0]) == 1:  # everything on one device
        used = [index for index in used if index]
    titles = [_COLUMNS[index][0] for index in used]
    return titles, [[row[index] for index in used] for row in cells]


def _csv(results: Sequence[Result]) -> str:
    """One row for each result, the keys as the JSON has them."""
    common = [each.name for each in fields(Result) if each.name not in ("ops", "extra")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*common, *_CSV_EXTRA])
    for result in results:
        own = [getattr(result, name) for name in common]
        writer.writerow([*own, *(result.extra.get(name) for name in _CSV_EXTRA)])
    return buffer.getvalue()
