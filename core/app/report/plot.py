"""What every plot of a report has: alternative text, the table behind it, colors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeferry.app.tables import MISSING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLORS = {"tflite": "#0072b2", "onnx": "#d55e00", "openvino": "#009e73"}
_OTHER = "#cc79a7"
_HEIGHT = 420


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes:
        name: For links.
        title: Its heading.
        text: What it shows, in words.
        figure: For Plotly, as JSON.
        columns: Titles of the table behind it.
        rows: Its cells.
    """

    name: str
    title: str
    text: str
    figure: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def color_of(model_format: str | None) -> str:
    """A format's color, of Okabe and Ito's palette: told apart however colors are seen."""
    return _COLORS.get(str(model_format), _OTHER)


def as_json(figure: Figure) -> str:
    """A figure on a ground that shows through; its colors of text are the page's."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=figure.layout.height or _HEIGHT,
        legend={"orientation": "h", "y": 1.12},
        font={"family": "system-ui, sans-serif", "size": 12},
        dragmode="pan",
    )
    figure.update_yaxes(automargin=True)
    # Inside of a script element, nothing may look like its end.
    return str(figure.to_json()).replace("<", "\\u003c")


def place(device: str | None) -> str:
    """The end of a heading."""
    return f" on {device}" if device else ""


def anchor(*parts: str | None) -> str:
    """A name for links."""
    text = "-".join(filter(None, parts))
    return "".join(each if each.isalnum() else "-" for each in text)


def milliseconds(value: float | None) -> str:
    """A cell of a table."""
    return MISSING if value is None else f"{value:.2f}"
