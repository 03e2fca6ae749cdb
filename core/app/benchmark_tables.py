"""What ``benchmark`` and ``bundle`` show to humans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeferry.app.profile_tables import profile_tables
from edgeferry.app.results import Result
from edgeferry.app.tables import (
    ARTIFACT,
    COSTS,
    EXECUTED,
    LATENCY,
    MISSING,
    RUNTIME,
    SIZE,
    empty_table,
    facts_table,
    number,
    table_of,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from edgeferry.app.benchmark import BenchmarkReport
    from edgeferry.app.bundle import BundleReport
    from edgeferry.app.verdict import Verdict


def benchmark_report(report: BenchmarkReport) -> list[RenderableType]:
    """What ``benchmark`` shows: figures, layers, rankings, and the verdicts in plain words."""
    return [
        latency_table(report.results),
        *profile_tables(report.results),
        *map(verdict_table, report.verdicts),
        *(verdict.sentence for verdict in report.verdicts),
    ]


def latency_table(results: Sequence[Result]) -> Table:
    """What ``benchmark`` measured; columns that would be the same or empty are left out."""
    several = len({result.extra["device"] for result in results}) > 1
    place = (("device", number("device", "{}")),) if several else ()
    sustained = any(result.extra["sustained"] for result in results)
    curve = (("last min of first", _last_to_first),) if sustained else ()
    doubt = (("doubtful", _marks),) if any(result.extra["marks"] for result in results) else ()
    whole = ("picture ms", number("end_to_end_p50_ms"))
    columns = (ARTIFACT, RUNTIME, EXECUTED, SIZE, *LATENCY, whole, *COSTS)
    return table_of(results, *place, *columns, *curve, *doubt)


def verdict_table(verdict: Verdict) -> Table:
    """The ranking of one device."""
    titles = ("ship", "engine", "threads", "p50 ms", "peak MiB", "accuracy", "why not")
    table = empty_table("", *titles)
    for rank, each in enumerate(verdict.ranking, 1):
        result = each.result
        doubts = f"doubtful: {', '.join(each.doubts)}" if each.doubts else ""
        table.add_row(
            str(rank),
            result.artifact,
            result.runtime,
            str(result.extra["threads"]),
            number("p50_ms")(result),
            number("peak_rss_mb", "{:.0f}")(result),
            str(each.accuracy or "unknown"),
            "; ".join([*each.reasons, *filter(None, [doubts])]),
        )
    return table


def _last_to_first(result: Result) -> str:
    sustained = result.extra["sustained"]
    ratio = sustained and sustained["last_to_first"]
    return f"{ratio:.2f}" if ratio else MISSING


def _marks(result: Result) -> str:
    return ", ".join(mark["name"] for mark in result.extra["marks"])


def bundle_facts(report: BundleReport) -> Table:
    """What ``bundle`` shows."""
    about, folder = report.about, report.artifact.path.stem
    facts = {
        "bundle": str(report.path),
        "size": f"{report.path.stat().st_size / 2**20:.1f} MiB in {len(report.files)} files",
        "for": f"{about['device']}, Python {about['python']} ({about['system']})",
        "engine": f"{about['runtime']}: {', '.join(about['requirements'])}",
        "network": "not needed" if about["offline"] else "needed once, for run.py --setup",
        "signed": f"for the public key {report.signed_by}" if report.signed_by else "no",
        "there": f"unpack it, then: python3 {folder}/run.py --setup",
    }
    return facts_table(facts)
