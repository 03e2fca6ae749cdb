"""Tables for humans, made of results; what was not measured is a dash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.answer_data import answer_rows
from edgeferry.app.results import Result
from edgeferry.runtimes.tensors import TensorSpec, shape_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from edgeferry.app.answers import Answers
    from edgeferry.app.doctor import Diagnosis
    from edgeferry.app.export import ExportReport
    from edgeferry.app.inspection import Inspection

Cell = Callable[[Result], str]

MISSING = "–"


def number(key: str, form: str = "{:.2f}") -> Cell:
    """A cell that shows what is under a key."""

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


ARTIFACT = ("artifact", number("artifact", "{}"))
PRECISION = ("precision", number("precision", "{}"))
RUNTIME = ("engine", number("runtime", "{}"))
EXECUTED = ("executed", number("executed", "{}"))
SIZE = ("MiB", _size)
ACCURACY = (
    ("top-1 % [95 %]", _with_interval("top1", "{:.2f}")),
    ("top-5 %", number("top5")),
    ("agree %", number("agreement")),
    ("KL", number("kl", "{:.4f}")),
)
PLACED = {
    "mean_iou": ("mean IoU %", number("mean_iou")),
    "map": ("mAP %", number("map")),
    "map50": ("mAP@0.5 %", number("map50")),
}
"""Of masks, and of boxes."""
LATENCY = (
    ("p50 ms", number("p50_ms")),
    ("p90", number("p90_ms")),
    ("p99", number("p99_ms")),
    ("of fp32 [95 %]", _with_interval("ratio_to_fp32", "{:.2f}")),
)
COSTS = (
    ("images/s", number("throughput", "{:.0f}")),
    ("load ms", number("load_ms", "{:.0f}")),
    ("first ms", number("first_ms", "{:.1f}")),
    ("peak MiB", number("peak_rss_mb", "{:.0f}")),
)
LEFT = {"device", "doubtful", "artifact", "precision", "engine", "executed"}


def accuracy_table(results: Iterable[Result]) -> Table:
    """What ``evaluate`` shows."""
    sqnr = ("SQNR dB", number("sqnr_db", "{:.1f}"))
    listed = list(results)
    placed = {key: cell for key, cell in PLACED.items() if any(key in r.extra for r in listed)}
    accuracy = (*placed.values(), *ACCURACY[2:]) if placed else ACCURACY
    return table_of(listed, ARTIFACT, PRECISION, RUNTIME, SIZE, *accuracy, sqnr)


def summary_table(results: Iterable[Result]) -> Table:
    """What ``demo`` shows: accuracy and latency side by side."""
    return table_of(results, ARTIFACT, EXECUTED, SIZE, *ACCURACY, *LATENCY)


def export_table(report: ExportReport) -> Table:
    """What ``export`` shows."""
    from edgeferry.app.summaries import export_results

    seconds = ("seconds", number("seconds", "{:.1f}"))
    table = table_of(export_results(report), ARTIFACT, PRECISION, SIZE, seconds)
    notes = []
    if report.source_top1 is not None:
        notes.append(f"source model: {report.source_top1:.1f} % of the labeled pictures right")
    if report.movement:
        typical = max(each["typical"] for each in report.movement.values())
        notes.append(f"ranges moved by {100 * typical:.1f} % over the last half of the pictures")
    table.caption, table.caption_justify = "\n".join(notes) or None, "left"
    return table


def answers_table(answers: Answers, named: bool = False) -> Table:
    """What ``predict`` shows.

    Args:
        answers: Of one artifact.
        named: Tell its name above.
    """
    table = empty_table("picture", "label", "class", "score", "where")
    if named:
        table.title, table.title_justify = answers.result.artifact, "left"
    for picture, result in answers.predictions.items():
        rows = answer_rows(result) or [{}]
        for number, row in enumerate(rows):
            table.add_row("" if number else Path(picture).name, *_answer_cells(row))
        table.add_section()
    return table


def _answer_cells(row: Mapping[str, Any]) -> list[str]:
    if not row:
        return [MISSING] * 4
    place = f"{100 * row['share']:.1f} % of the pixels" if "share" in row else ""
    if "box" in row:
        left, top, right, bottom = row["box"]
        place = f"{left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}"
    return [row["label"], str(row["index"]), f"{row['score']:.4f}", place]


def inspection_tables(inspection: Inspection, layers: bool) -> list[RenderableType]:
    """What ``inspect`` shows."""
    shown: list[RenderableType] = [facts_table(_inspection_facts(inspection))]
    if inspection.description is None:
        return shown
    table = empty_table("count", "operation", "precision", "fused")
    for row in inspection.description.ops():
        table.add_row(str(row["count"]), row["op"], row["precision"], "yes" if row["fused"] else "")
    shown.append(table)
    if layers:
        listed = empty_table("operation", "type", "precision", "fused into it")
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
    engines = empty_table("engine", "runs", "devices here", "to get it")
    for engine in diagnosis.engines:
        engines.add_row(
            engine.name, ", ".join(engine.formats), ", ".join(engine.devices), engine.remedy
        )
    extras = empty_table("extra", "packages", "to get it")
    for extra in diagnosis.extras:
        packages = [f"{name} {found or 'MISSING'}" for name, found in extra.packages.items()]
        extras.add_row(extra.name, ", ".join(packages), extra.remedy)
    shown: list[RenderableType] = [facts_table(facts), engines, extras]
    if diagnosis.plug_ins:
        plug_ins = empty_table("plug-in", "what it is", "brought by", "problem")
        for each in diagnosis.plug_ins:
            plug_ins.add_row(each.name, each.kind, each.package, each.problem)
        shown.append(plug_ins)
    return shown


def _inspection_facts(inspection: Inspection) -> Mapping[str, str]:
    artifact, contract, engine = inspection.artifact, inspection.artifact.contract, None
    facts = {
        "artifact": artifact.path.name,
        "format": artifact.format,
        "size": f"{artifact.size_bytes / 2**20:.1f} MiB",
    }
    if contract is not None:
        facts |= _contract_facts(contract.to_dict())
    if (tensors := inspection.tensors) is not None:
        facts |= {"takes": _tensors(tensors.inputs), "gives": _tensors(tensors.outputs)}
        facts["missing"] = ", ".join(inspection.missing())
    engine = inspection.description
    if engine is not None:
        facts["engine"] = f"{engine.engine} {engine.version} on {engine.device}"
        facts["threads"] = str(engine.threads)
        facts["executed"] = engine.executed
    return facts


def _tensors(tensors: Iterable[TensorSpec]) -> str:
    return "; ".join(f"{each.name}, {each.dtype} {shape_text(each.shape)}" for each in tensors)


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
        "int8": _int8_facts(contract["quantization"]),
        "made with": ", ".join(f"{name} {each}" for name, each in contract["versions"].items()),
    }


def _int8_facts(quantization: Mapping[str, Any] | None) -> str:
    if quantization is None:
        return "no"
    facts = [", ".join(quantization["repairs"])]
    if left := quantization["float_layers"]:
        facts.append(f"in float: {', '.join(left)}")
    if control := quantization["control"]:
        facts.append(
            f"lost {control['drop']:.2f} of the {control['max_drop']:g} points of "
            f"{control['measure']} allowed on {control['images']} pictures, "
            f"the choice of {control['attempts']} attempts"
        )
    return "; ".join(facts)


def _value(result: Result, key: str) -> Any:
    return result.extra[key] if key in result.extra else getattr(result, key, None)


def table_of(results: Iterable[Result], *columns: tuple[str, Cell]) -> Table:
    """One row for each result, one cell for each column."""
    table = empty_table(*(title for title, _ in columns))
    for column in table.columns:
        column.justify = "left" if column.header in LEFT else "right"
    for result in results:
        table.add_row(*(cell(result) for _, cell in columns))
    return table


def empty_table(*titles: str) -> Table:
    """A table without rows."""
    from rich import box
    from rich.table import Table

    return Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)


def facts_table(facts: Mapping[str, str]) -> Table:
    """Names and what they stand for, without lines."""
    from rich.table import Table

    table = Table.grid("name", "value", padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, value)
    return table
