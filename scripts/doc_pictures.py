"""Draw the pictures of the docs: ``doc_pictures.py [FOLDER]``, the same bytes every time.

Backgrounds are transparent and colors in the middle, for light and dark pages alike.
"""
# ruff: noqa: TID253 (drawing is all it does)

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
GRAY, BLUE, ORANGE, GREEN = "#757d87", "#3d8fd1", "#e0803a", "#3aa374"
STYLE: Any = {
    "svg.hashsalt": "edgeferry",
    "svg.fonttype": "none",
    "font.size": 10,
    "font.family": "sans-serif",
    "savefig.transparent": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), GRAY),
    **dict.fromkeys(("xtick.color", "ytick.color", "axes.titlecolor"), GRAY),
}


def main(folder: Path) -> None:
    """Draw them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, draw in PICTURES.items():
            metadata: Any = {"Date": None, "Creator": None}
            draw().savefig(folder / f"{name}.svg", metadata=metadata)


def contract() -> Figure:
    """What the host does, what the graph does, and what else the file holds."""
    figure, axes = _figure(9, 3.2)
    _bare(axes, 90, 32)
    _box(axes, 2, 14, 18, 13, GRAY, "picture file,\narray or frame", "")
    _box(axes, 25, 14, 15, 13, ORANGE, "decode, upright,\nresize, crop", "the host")
    _box(axes, 45, 2, 28, 27, BLUE, "", "the artifact: one file")
    _box(
        axes,
        47,
        14,
        24,
        11,
        BLUE,
        "channel order, mean, scale\nint8 or float layers\nsoftmax in float",
        "",
    )
    _box(axes, 47, 4, 24, 8, GREEN, "JSON: size, resize rule, labels,\nsource, calibration", "")
    _box(axes, 78, 14, 11, 13, GRAY, "scores,\nfloat32", "")
    for left, right, text in ((20, 25, ""), (40, 47, "uint8\nRGB"), (71, 78, "")):
        _arrow(axes, (left, 20), (right, 20), text)
    _arrow(axes, (47, 8), (32.5, 14), "the rule", bend=-0.3)
    return figure


def number_line() -> Figure:
    """Floats go to the nearest of a few levels; what lies outside goes to the last one."""
    figure, axes = _figure(9, 2.4)
    levels, step = np.arange(-8, 8), 0.25
    values = np.array([-1.62, -0.94, -0.31, 0.09, 0.55, 1.20, 2.45])
    nearest = np.clip(np.rint(values / step), -8, 7) * step
    axes.hlines([0, 1], -2.2, 2.7, color=GRAY, linewidth=1)
    axes.vlines(levels * step, -0.08, 0.08, color=BLUE)
    for level in (*levels[::2], levels[-1]):
        axes.text(level * step, -0.32, str(level), ha="center", color=BLUE)
    axes.plot(values, np.ones_like(values), "o", color=ORANGE)
    for value, level in zip(values, nearest, strict=True):
        axes.annotate(
            "", (level, 0.08), (value, 0.94), arrowprops={"arrowstyle": "->", "color": GRAY}
        )
        axes.text(value, 1.14, f"{value:.2f}", ha="center", color=ORANGE)
    axes.text(2.75, 1, "floats", va="center", color=ORANGE)
    axes.text(2.75, 0, "integers × 0.25", va="center", color=BLUE)
    axes.set(xlim=(-2.3, 3.6), ylim=(-0.5, 1.4))
    axes.axis("off")
    return figure


def clipping() -> Figure:
    """A range that holds everything has coarse steps; one that leaves a little out, finer ones."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes, lines = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    values = _activations()
    axes.stairs(*np.histogram(values, np.linspace(0, 20, 161)), fill=True, color=GRAY, alpha=0.5)
    axes.set(yscale="log", ylabel="values", xlim=(-0.3, 20.5))
    ranges = {"minmax": (values.max(), ORANGE), "percentile": (np.quantile(values, 0.999), BLUE)}
    for place, (name, (high, color)) in enumerate(ranges.items()):
        axes.axvline(high, color=color, linestyle="--")
        axes.text(high - 0.15, 8e4, name, ha="right", va="top", color=color)
        lines.vlines(np.linspace(0, high, 16), -place - 0.35, -place + 0.35, color=color)
    lines.set(xlabel="activation", yticks=(0, -1), yticklabels=tuple(ranges), ylim=(-1.6, 0.6))
    lines.spines["left"].set_visible(False)
    return figure


def channels() -> Figure:
    """One scale for all channels wastes the steps of the small ones."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    random = np.random.default_rng(0)
    weights = [random.normal(0, size, 40) for size in (1.0, 0.25, 0.06)]
    widest = max(float(np.abs(each).max()) for each in weights)
    _weights(left, weights, [widest] * 3, "one scale")
    _weights(
        right, weights, [float(np.abs(each).max()) for each in weights], "a scale for each channel"
    )
    left.set_ylabel("weight")
    return figure


def softmax() -> Figure:
    """Of a thousand classes most probabilities are smaller than a step of 1/256."""
    figure, axes = _figure(9, 3)
    random = np.random.default_rng(3)
    scores = np.concatenate([[7.2, 6.6, 5.3, 4.4, 3.6, 3.0], random.normal(0, 1, 994)])
    exact = np.exp(scores) / np.exp(scores).sum()
    rounded = np.rint(exact * 256) / 256
    shown = [*exact[:6], exact[6:].sum()], [*rounded[:6], rounded[6:].sum()]
    places = np.arange(7)
    for shift, heights, color, name in (
        (-0.2, shown[0], BLUE, "float"),
        (0.2, shown[1], ORANGE, "int8"),
    ):
        bars = axes.bar(places + shift, heights, 0.38, color=color, label=f"softmax in {name}")
        axes.bar_label(bars, [f"{height:.3f}" for height in heights], color=color, fontsize=8)
    labels = [*(f"class {n}" for n in range(1, 7)), "all other 994"]
    axes.set_xticks(places, labels)
    axes.set_ylabel("probability")
    axes.legend(frameon=False, labelcolor="linecolor")
    return figure


def _activations() -> NDArray[np.float64]:
    """What a rectifier gives: most values small, a few large."""
    random = np.random.default_rng(1)
    return np.concatenate([random.exponential(0.9, 100_000), random.uniform(9, 19.5, 12)])


def _weights(
    axes: Axes, channels: Sequence[NDArray[np.float64]], highs: Sequence[float], title: str
) -> None:
    """Weights beside the levels that each channel has."""
    for place, (weights, high) in enumerate(zip(channels, highs, strict=True)):
        axes.hlines(
            np.linspace(-high, high, 17), place - 0.3, place + 0.3, color=BLUE, linewidth=0.8
        )
        spread = np.linspace(-0.22, 0.22, len(weights))
        axes.plot(place + spread, weights, ".", color=ORANGE, markersize=3)
    axes.set_xticks(range(len(channels)), [f"channel {n + 1}" for n in range(len(channels))])
    axes.set_title(title)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _bare(axes: Axes, width: float, height: float) -> None:
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")


def _box(
    axes: Axes,
    left: float,
    low: float,
    width: float,
    height: float,
    color: str,
    text: str,
    title: str,
) -> None:
    shape = FancyBboxPatch(
        (left, low), width, height, boxstyle="round,pad=0,rounding_size=1", fill=False, color=color
    )
    axes.add_patch(shape)
    middle = left + width / 2
    axes.text(middle, low + height / 2, text, ha="center", va="center", fontsize=9)
    axes.text(middle, low + height + 1, title, ha="center", color=color, fontsize=9)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str, bend: float = 0
) -> None:
    style = {"arrowstyle": "->", "color": GRAY, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, start, arrowprops=style)
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    axes.text(middle[0] - 1, middle[1] + 1, text, ha="center", va="bottom", fontsize=8)


PICTURES: dict[str, Callable[[], Figure]] = {
    "contract": contract,
    "number-line": number_line,
    "clipping": clipping,
    "channels": channels,
    "softmax": softmax,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
