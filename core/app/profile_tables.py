"""What ``benchmark --profile`` shows: where the time of each artifact goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from edgeferry.app.tables import MISSING, empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from edgeferry.app.results import Result

SHOWN = 15
"""Layers in a table, those that take most time."""
_KINDS = 4
"""Kinds of operations whose shares are told, those that take most time."""
_FIGURES = ("ms", "share %", "sum %", "GMAC/s")


def profile_tables(results: Iterable[Result]) -> Iterator[RenderableType]:
    """A table for each artifact whose layers were timed, and what was measured."""
    for result in results:
        if result.extra["profile"] and result.extra["profile"]["layers"]:
            yield _table(result)
            yield _notes(result)


def _table(result: Result) -> Table:
    profile = result.extra["profile"]
    table = empty_table("layer", "kind", "ran in", *_FIGURES)
    for column in table.columns[-len(_FIGURES) :]:
        column.justify = "right"
    rows = sorted(profile["layers"], key=lambda row: -row["ms"])
    sums = accumulate(row["share"] for row in rows)
    for row, upto in list(zip(rows, sums, strict=True))[:SHOWN]:
        table.add_row(row["layer"], row["kind"], row["precision"], *_figures(row, upto))
    if rest := rows[SHOWN:]:
        table.add_row(f"{len(rest)} more", "", "", *_figures(_together(rest), 100.0))
    table.title, table.title_justify = _title(result), "left"
    return table


def _figures(row: Mapping[str, Any], upto: float) -> tuple[str, ...]:
    rate = row["gmac_per_s"]
    return (
        f"{row['ms']:.3f}",
        f"{row['share']:.1f}",
        f"{upto:.1f}",
        MISSING if rate is None else f"{rate:.1f}",
    )


def _together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {key: sum(row[key] for row in rows) for key in ("ms", "share")}
    return {**sums, "gmac_per_s": None}


def _title(result: Result) -> str:
    device = result.extra["device"]
    return result.artifact if device == "local" else f"{result.artifact} on {device}"


def _notes(result: Result) -> str:
    profile = result.extra["profile"]
    lines = [
        f"{profile['profiler']}: {len(profile['layers'])} operations, medians of "
        f"{profile['runs']} inferences",
        f"together {profile['sum_ms']:.2f} ms, beside {result.p50_ms or 0:.2f} ms "
        "for an inference that is not profiled",
    ]
    kinds: Counter[str] = Counter()
    for row in profile["layers"]:
        kinds[row["kind"]] += row["share"]
    lines.append(", ".join(f"{kind} {share:.1f} %" for kind, share in kinds.most_common(_KINDS)))
    ran = sum(row["multiply_accumulates"] or 0 for row in profile["layers"])
    if profile["multiply_accumulates"]:
        lines.append(
            f"{ran / 1e9:.2f} G multiply-accumulates ran, "
            f"{profile['multiply_accumulates'] / 1e9:.2f} G are in the file"
        )
    if not profile["named"]:
        lines.append("names are the engine's: pip install 'edgeferry[export]' gives the layers'")
    return "\n".join(lines) + "\n"
