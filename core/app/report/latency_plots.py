"""Accuracy against latency, timings, and long runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edgeferry.app.report.documents import short_names
from edgeferry.app.report.plot import Plot, anchor, as_json, color_of, milliseconds, place
from edgeferry.app.results import Result
from edgeferry.app.tables import MISSING

_SYMBOLS = {"fp32": "circle", "fp16": "square", "int8": "diamond"}
_DASHES = ("solid", "dot", "dash", "dashdot")
_SAMPLES = 400
"""Timings kept of an artifact: evenly spaced ones of the sorted, the ends among them."""
_ROW = 46


def trade_off(results: Sequence[Result], device: str | None) -> Plot | None:
    """Accuracy against latency; the area of a mark is the artifact's size."""
    import plotly.graph_objects as go

    measure = "top1" if any(each.top1 is not None for each in results) else "agreement"
    timed = [each for each in results if None not in (each.p50_ms, getattr(each, measure))]
    if not timed:
        return None
    names = short_names([each.artifact for each in timed])
    what = "top-1, %" if measure == "top1" else "agreement with the reference, %"
    largest = max(each.size_bytes or 0 for each in timed) or 1
    figure = go.Figure()
    for each in timed:
        size = each.size_bytes or 0
        figure.add_scatter(
            name=escape(names[each.artifact]),
            x=[each.p50_ms],
            y=[getattr(each, measure)],
            mode="markers",
            hovertemplate=f"{escape(each.artifact)}<br>%{{x:.2f}} ms, %{{y:.2f}} %"
            f"<br>{size / 2**20:.1f} MiB<extra></extra>",
            marker={
                "color": color_of(each.format),
                "symbol": _SYMBOLS.get(str(each.precision), "cross"),
                "size": 12 + 28 * (size / largest) ** 0.5,
                "opacity": 0.8,
                "line": {"width": 1, "color": "#777"},
            },
        )
    figure.update_xaxes(title="median latency, ms", rangemode="tozero")
    figure.update_yaxes(title=what)
    fastest = min(timed, key=lambda each: each.p50_ms or 0)
    best = max(timed, key=lambda each: getattr(each, measure))
    return Plot(
        anchor("trade-off", device),
        f"Accuracy, latency and size{place(device)}",
        f"{len(timed)} artifacts. Fastest: {fastest.artifact}, {fastest.p50_ms:.2f} ms at "
        f"{getattr(fastest, measure):.2f} %. Most accurate: {best.artifact}, "
        f"{getattr(best, measure):.2f} %. The area of a mark is the size of the file.",
        as_json(figure),
        ("artifact", "p50 ms", what, "MiB"),
        tuple(
            (
                each.artifact,
                f"{each.p50_ms:.2f}",
                f"{getattr(each, measure):.2f}",
                f"{(each.size_bytes or 0) / 2**20:.1f}",
            )
            for each in timed
        ),
    )


def distribution(results: Sequence[Result], device: str | None) -> Plot | None:
    """How the timings of each artifact are spread."""
    import plotly.graph_objects as go

    timed = [(each, taken) for each in results if (taken := _milliseconds(each))]
    if not timed:
        return None
    names = short_names([each.artifact for each, _ in timed])
    figure = go.Figure()
    for each, taken in reversed(timed):
        figure.add_box(
            name=escape(names[each.artifact]),
            x=_thinned(taken),
            orientation="h",
            boxpoints="outliers",
            marker={"size": 3},
            line={"color": color_of(each.format)},
        )
    figure.update_layout(showlegend=False, height=120 + _ROW * len(timed))
    figure.update_xaxes(title="one inference, ms", rangemode="tozero")
    tails = [(each.p99_ms or 0) / each.p50_ms for each, _ in timed if each.p50_ms]
    tail = f" The slowest hundredth takes up to {max(tails):.1f} times the median." if tails else ""
    return Plot(
        anchor("distribution", device),
        f"Latencies{place(device)}",
        f"Timings of {len(timed)} artifacts: quartiles as boxes, single slow ones as points.{tail}",
        as_json(figure),
        ("artifact", "inferences", "min ms", "p50 ms", "p90 ms", "p99 ms", "max ms"),
        tuple(
            (
                each.artifact,
                str(len(taken)),
                f"{min(taken):.2f}",
                milliseconds(each.p50_ms),
                milliseconds(each.p90_ms),
                milliseconds(each.p99_ms),
                f"{max(taken):.2f}",
            )
            for each, taken in timed
        ),
    )


def sustained(results: Sequence[Result], device: str | None) -> Plot | None:
    """Latency and temperature over a long run."""
    from plotly.subplots import make_subplots

    long = [each for each in results if each.extra.get("sustained")]
    if not long:
        return None
    names = short_names([each.artifact for each in long])
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for index, each in enumerate(long):
        curve = each.extra["sustained"]["curve"]
        for row, key in ((1, "p50_ms"), (2, "temperature_c")):
            figure.add_scatter(
                row=row,
                col=1,
                name=escape(names[each.artifact]),
                showlegend=row == 1,
                legendgroup=each.artifact,
                x=[point["seconds"] for point in curve],
                y=[point[key] for point in curve],
                mode="lines+markers",
                line={
                    "color": color_of(each.format),
                    "dash": _DASHES[index % len(_DASHES)],
                },
            )
    figure.update_yaxes(title="median, ms", row=1, col=1)
    figure.update_yaxes(title="°C", row=2, col=1)
    figure.update_xaxes(title="seconds", row=2, col=1)
    figure.update_layout(height=520)
    rows = tuple(_sustained_row(each) for each in long)
    return Plot(
        anchor("sustained", device),
        f"The long run{place(device)}",
        "Median latency above, temperature below. "
        + " ".join(f"{row[0]}: the last minute takes {row[4]} times the first." for row in rows),
        as_json(figure),
        ("artifact", "seconds", "first minute ms", "last minute ms", "last over first", "hottest"),
        rows,
    )


def _sustained_row(result: Result) -> tuple[str, ...]:
    told = result.extra["sustained"]
    heat = [each["temperature_c"] for each in told["curve"] if each["temperature_c"] is not None]
    return (
        result.artifact,
        f"{told['seconds']:.0f}",
        milliseconds(told["first_p50_ms"]),
        milliseconds(told["last_p50_ms"]),
        milliseconds(told["last_to_first"]),
        f"{max(heat):.0f} °C" if heat else MISSING,
    )


def _milliseconds(result: Result) -> list[float]:
    turns = result.extra.get("timings_ns") or []
    return sorted(ns / 1e6 for turn in turns for ns in turn)


def _thinned(taken: Sequence[float]) -> list[float]:
    if len(taken) <= _SAMPLES:
        return [round(each, 4) for each in taken]
    last = len(taken) - 1
    return [round(taken[round(each * last / (_SAMPLES - 1))], 4) for each in range(_SAMPLES)]
