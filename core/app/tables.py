"""Tables for humans, made of results; what was not measured is a dash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.results import Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from edgeferry.app.answers import Answers
    from edgeferry.app.benchmark import BenchmarkReport
    from edgeferry.app.bundle import BundleReport
    from edgeferry.app.doctor import Diagnosis
    from edgeferry.app.export import ExportReport
    from edgeferry.app.inspection import Inspection
    from edgeferry.app.verdict import Verdict

Cell = Callable[[Result], str]

MISSING = "–"


def _number(key: str, form: str = "{:.2f}") -> Cell:
    def cell(result: Result) -> str:
        value = _value(result, key)
        return MISSING if value is None else form.format(value)

    return cell


def _with_interval(key: str, form: str) -> Cell:
    def cell(result: Result) -> str:
        value, low, high = (_value(result, f"{key}{end}") for end in ("", "_low", "_high"))
        if value is None:
            return MISSING
        shown = form.format(value)
        return shown if low is None else f"{shown} [{form.format(low)}, {form.format(high)}]"

    return cell


def _size(result: Result) -> str:
    return MISSING if result.size_bytes is None else f"{result.size_bytes / 2**20:.1f}"


_ARTIFACT = ("artifact", _number("artifact", "{}"))
_PRECISION = ("precision", _number("precision", "{}"))
_RUNTIME = ("engine", _number("runtime", "{}"))
_EXECUTED = ("executed", _number("executed", "{}"))
_SIZE = ("MiB", _size)
_ACCURACY = (
    ("top-1 % [95 %]", _with_interval("top1", "{:.2f}")),
    ("top-5 %", _number("top5")),
    ("agree %", _number("agreement")),
    ("KL", _number("kl", "{:.4f}")),
)
_LATENCY = (
    ("p50 ms", _number("p50_ms")),
    ("p90", _number("p90_ms")),
    ("p99", _number("p99_ms")),
    ("of fp32 [95 %]", _with_interval("ratio_to_fp32", "{:.2f}")),
)
_COSTS = (
    ("images/s", _number("throughput", "{:.0f}")),
    ("load ms", _number("load_ms", "{:.0f}")),
    ("first ms", _number("first_ms", "{:.1f}")),
    ("peak MiB", _number("peak_rss_mb", "{:.0f}")),
)
_LEFT = {"device", "doubtful", "artifact", "precision", "engine", "executed"}


def accuracy_table(results: Iterable[Result]) -> Table:
    """What ``evaluate`` shows."""
    sqnr = ("SQNR dB", _number("sqnr_db", "{:.1f}"))
    return _table(results, _ARTIFACT, _PRECISION, _RUNTIME, _SIZE, *_ACCURACY, sqnr)


def benchmark_report(report: BenchmarkReport) -> list[RenderableType]:
    """What ``benchmark`` shows: figures, rankings, and the verdicts in plain words."""
    return [
        latency_table(report.results),
        *map(verdict_table, report.verdicts),
        *(verdict.sentence for verdict in report.verdicts),
    ]


def latency_table(results: Sequence[Result]) -> Table:
    """What ``benchmark`` measured; columns that would be the same or empty are left out."""
    several = len({result.extra["device"] for result in results}) > 1
    place = (("device", _number("device", "{}")),) if several else ()
    sustained = any(result.extra["sustained"] for result in results)
    curve = (("last min of first", _last_to_first),) if sustained else ()
    doubt = (("doubtful", _marks),) if any(result.extra["marks"] for result in results) else ()
    whole = ("picture ms", _number("end_to_end_p50_ms"))
    columns = (_ARTIFACT, _RUNTIME, _EXECUTED, _SIZE, *_LATENCY, whole, *_COSTS)
    return _table(results, *place, *columns, *curve, *doubt)


def verdict_table(verdict: Verdict) -> Table:
    """The ranking of one device."""
    table = _empty("", "ship", "engine", "threads", "p50 ms", "peak MiB", "accuracy", "why not")
    for number, each in enumerate(verdict.ranking, 1):
        result = each.result
        doubts = f"doubtful: {', '.join(each.doubts)}" if each.doubts else ""
        table.add_row(
            str(number),
            result.artifact,
            result.runtime,
            str(result.extra["threads"]),
            _number("p50_ms")(result),
            _number("peak_rss_mb", "{:.0f}")(result),
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


def summary_table(results: Iterable[Result]) -> Table:
    """What ``demo`` shows: accuracy and latency side by side."""
    return _table(results, _ARTIFACT, _EXECUTED, _SIZE, *_ACCURACY, *_LATENCY)


def export_table(report: ExportReport) -> Table:
    """What ``export`` shows."""
    from edgeferry.app.summaries import export_results

    seconds = ("seconds", _number("seconds", "{:.1f}"))
    table = _table(export_results(report), _ARTIFACT, _PRECISION, _SIZE, seconds)
    if report.source_top1 is not None:
        table.caption = (
            f"source model: {report.source_top1:.1f} % of the labeled calibration pictures right"
        )
    return table


def answers_table(answers: Answers) -> Table:
    """What ``predict`` shows."""
    table = _empty("picture", "label", "class", "score")
    for picture, predictions in answers.predictions.items():
        names = [Path(picture).name, *[""] * (len(predictions) - 1)]
        for name, each in zip(names, predictions, strict=True):
            table.add_row(name, each.label, str(each.index), f"{each.score:.4f}")
        table.add_section()
    return table


def bundle_facts(report: BundleReport) -> Table:
    """What ``bundle`` shows."""
    about, folder = report.about, report.artifact.path.stem
    facts = {
        "bundle": str(report.path),
        "size": f"{report.path.stat().st_size / 2**20:.1f} MiB in {len(report.files)} files",
        "for": f"{about['device']}, Python {about['python']} ({about['system']})",
        "engine": f"{about['runtime']}: {', '.join(about['requirements'])}",
        "network": "not needed" if about["offline"] else "needed once, for run.py --setup",
        "there": f"unpack it, then: python3 {folder}/run.py --setup",
    }
    return _facts(facts)


def inspection_tables(inspection: Inspection, layers: bool) -> list[RenderableType]:
    """What ``inspect`` shows."""
    shown: list[RenderableType] = [_facts(_inspection_facts(inspection))]
    if inspection.description is None:
        return shown
    table = _empty("count", "operation", "precision", "fused")
    for row in inspection.description.ops():
        table.add_row(str(row["count"]), row["op"], row["precision"], "yes" if row["fused"] else "")
    shown.append(table)
    if layers:
        listed = _empty("operation", "type", "precision", "fused into it")
        for each in inspection.description.operations:
            listed.add_row(each.name, each.type, each.precision, ", ".join(each.fused))
        shown.append(listed)
    return shown


def diagnosis_tables(diagnosis: Diagnosis) -> list[RenderableType]:
    """What ``doctor`` shows."""
    facts = {
        "edgeferry": diagnosis.edgeferry,
        "Python": diagnosis.python,
        "platform": diagnosis.platform,
        "physical cores": f"{diagnosis.cores} (the default number of threads)",
        **{f"telemetry of {name}": state for name, state in diagnosis.telemetry.items()},
    }
    engines = _empty("engine", "runs", "devices here", "to get it")
    for engine in diagnosis.engines:
        engines.add_row(
            engine.name, ", ".join(engine.formats), ", ".join(engine.devices), engine.remedy
        )
    extras = _empty("extra", "packages", "to get it")
    for extra in diagnosis.extras:
        packages = [f"{name} {found or 'MISSING'}" for name, found in extra.packages.items()]
        extras.add_row(extra.name, ", ".join(packages), extra.remedy)
    return [_facts(facts), engines, extras]


def _inspection_facts(inspection: Inspection) -> Mapping[str, str]:
    artifact, contract, engine = inspection.artifact, inspection.artifact.contract, None
    facts = {
        "artifact": artifact.path.name,
        "format": artifact.format,
        "size": f"{artifact.size_bytes / 2**20:.1f} MiB",
    }
    if contract is not None:
        facts |= _contract_facts(contract.to_dict())
    engine = inspection.description
    if engine is not None:
        facts["engine"] = f"{engine.engine} {engine.version} on {engine.device}"
        facts["threads"] = str(engine.threads)
        facts["executed"] = engine.executed
    return facts


def _contract_facts(contract: Mapping[str, Any]) -> dict[str, str]:
    spec, source, calibration = contract["input"], contract["source"], contract["calibration"]
    rule, labels = spec["resize"], contract["labels"]
    crop = f", center crop of {rule['crop_ratio']:g}" if rule["method"] == "shorter" else ""
    shape = [spec["batch"] or "N", spec["height"], spec["width"], spec["channels"]]
    return {
        "contract": f"schema {contract['schema']}",
        "task": f"{contract['task']}, {contract['classes']} classes, {contract['head']}",
        "labels": f"{len(labels)}: {', '.join(labels[:3])}, ..." if labels else "none",
        "input": f"image, uint8 {shape}, {'RGB' if spec['channels'] == 3 else 'grayscale'}",
        "resize": f"{rule['method']}{crop}, {rule['interpolation']}",
        "precision": f"{contract['precision']} (recipe {contract['recipe']})",
        "source": f"{source['name']}, preprocessing {source['preprocessing']}",
        "source SHA-256": source["sha256"],
        "calibration": f"{calibration['method']}, {calibration['images']} pictures, "
        f"SHA-256 {calibration['sha256']}"
        if calibration
        else "none",
        "made with": ", ".join(f"{name} {each}" for name, each in contract["versions"].items()),
    }


def _value(result: Result, key: str) -> Any:
    return result.extra[key] if key in result.extra else getattr(result, key, None)


def _table(results: Iterable[Result], *columns: tuple[str, Cell]) -> Table:
    table = _empty(*(title for title, _ in columns))
    for column in table.columns:
        column.justify = "left" if column.header in _LEFT else "right"
    for result in results:
        table.add_row(*(cell(result) for _, cell in columns))
    return table


def _empty(*titles: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)


def _facts(facts: Mapping[str, str]) -> Table:
    from rich.table import Table

    table = Table.grid("name", "value", padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, value)
    return table
