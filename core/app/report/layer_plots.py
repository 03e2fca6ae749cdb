"""Error and time along a network."""

from __future__ import annotations

from html import escape

from edgeferry.app.report.documents import Document
from edgeferry.app.report.plot import Plot, anchor, as_json, color_of, place
from edgeferry.app.results import Result
from edgeferry.app.tables import MISSING

_SHADES = ("#56b4e9", "#0072b2")
"""Of layers in even and odd residual blocks."""


def layer_errors(document: Document) -> Plot | None:
    """The error that each layer of an artifact adds, along the network."""
    from plotly.subplots import make_subplots

    layers = sorted(document.data["layers"], key=lambda layer: layer["position"])
    if not layers or not document.results:
        return None
    artifact = document.results[0].artifact
    places = [layer["position"] for layer in layers]
    told = [
        f"{escape(layer['layer'])}<br>{layer['kind']}, {layer['precision']}, "
        f"block {layer['block'] or MISSING}"
        for layer in layers
    ]
    shades = [_SHADES[(layer["block"] or 0) % 2] for layer in layers]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    figure.add_bar(
        row=1,
        col=1,
        x=places,
        y=[layer["added"] for layer in layers],
        text=told,
        textposition="none",
        hovertemplate="%{text}<br>adds %{y:.4f}<extra></extra>",
        marker={"color": shades},
    )
    figure.add_scatter(
        row=2,
        col=1,
        x=places,
        y=[layer["sqnr_db"] for layer in layers],
        text=told,
        mode="lines+markers",
        hovertemplate="%{text}<br>%{y:.1f} dB<extra></extra>",
        line={"color": "#d55e00"},
    )
    figure.update_yaxes(title="added error", row=1, col=1)
    figure.update_yaxes(title="SQNR, dB", row=2, col=1)
    figure.update_xaxes(title="layer, from the input on", row=2, col=1)
    figure.update_layout(showlegend=False, height=520)
    worst = max(layers, key=lambda layer: layer["added"])
    return Plot(
        anchor("errors", artifact),
        f"What int8 costs, layer by layer: {artifact}",
        f"{len(layers)} layers; {worst['layer']} adds most, {worst['added']:.4f} of its signal. "
        "Residual blocks alternate in shade.",
        as_json(figure),
        ("depth", "layer", "kind", "block", "precision", "adds", "SQNR dB"),
        tuple(
            (
                str(layer["position"]),
                layer["layer"],
                layer["kind"],
                MISSING if layer["block"] is None else str(layer["block"]),
                layer["precision"],
                f"{layer['added']:.4f}",
                MISSING if layer["sqnr_db"] is None else f"{layer['sqnr_db']:.1f}",
            )
            for layer in layers
        ),
    )


def layer_times(result: Result) -> Plot | None:
    """Where the time of an artifact goes, along the network."""
    import plotly.graph_objects as go

    profile = result.extra.get("profile")
    if not profile or not profile["layers"]:
        return None
    times: dict[str, float] = {}
    for row in profile["layers"]:
        times[row["layer"]] = times.get(row["layer"], 0.0) + row["ms"]
    device = result.extra.get("device")
    figure = go.Figure()
    figure.add_bar(
        x=list(range(1, len(times) + 1)),
        y=list(times.values()),
        text=[escape(name) for name in times],
        textposition="none",
        hovertemplate="%{text}<br>%{y:.3f} ms<extra></extra>",
        marker={"color": color_of(result.format)},
    )
    figure.update_xaxes(title="layer, from the input on")
    figure.update_yaxes(title="ms")
    longest = max(times, key=lambda name: times[name])
    whole = sum(times.values())
    return Plot(
        anchor("times", result.artifact, device),
        f"Where the time goes: {result.artifact}{place(device)}",
        f"{whole:.2f} ms in {len(times)} layers, by {profile['profiler']}; most in {longest}, "
        f"{100 * times[longest] / whole if whole else 0:.1f} %.",
        as_json(figure),
        ("layer", "ms", "share %"),
        tuple(
            (name, f"{ms:.3f}", f"{100 * ms / whole if whole else 0:.1f}")
            for name, ms in times.items()
        ),
    )
