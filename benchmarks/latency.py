"""Latency beside the bare engines, their samples, and the vendors' artifacts."""

from __future__ import annotations

from collections.abc import Iterator

from rows import Row, latencies
from setting import SIDE, SUFFIXES, Setting
from sides import Side, in_turns

PICTURES = {(500, 375): (0.6, 0.9), (4000, 3000): (0.12, 0.2)}
"""Sizes, with the ratios aimed at: of the host's part, and of the whole."""


def overhead(setting: Setting) -> Iterator[Row]:
    """``predict_proba`` over the bare call on the same artifact."""
    for model_format in SUFFIXES:
        for threads in (1, 2):
            told = {"path": setting.ours(model_format), "threads": threads}
            both = Side("ours", "engines:predict_proba", told), Side("bare", "engines:bare", told)
            found = in_turns(both)
            goal = 1.03 if model_format == "openvino" else 1.02
            case = f"{model_format} int8, {threads} threads"
            yield latencies("predict over bare call", case, found["ours"], found["bare"], goal)


def picture_to_label(setting: Setting) -> Iterator[Row]:
    """A JPEG file to its labels, beside the usual code on the vendor's artifact."""
    for size, (host_goal, whole_goal) in PICTURES.items():
        picture, case = setting.picture(*size), f"{size[0]}x{size[1]}"
        usual = {"picture": picture, "side": SIDE, "preprocessing": setting.preprocessing}
        own = setting.ours("openvino")
        sides = (
            Side("ours", "ours:host", {"path": own, "picture": picture}),
            Side("theirs", "usual:host", usual),
        )
        found = in_turns(sides)
        yield latencies("picture, host part", case, found["ours"], found["theirs"], host_goal)
        for threads in (1, 2):
            both = {"threads": threads}
            sides = (
                Side("ours", "ours:labeled", {"path": own, "picture": picture, **both}),
                Side("limit", "ours:decode_and_run", {"path": own, "picture": picture, **both}),
                Side(
                    "theirs", "usual:labeled", {"path": setting.theirs("openvino"), **usual, **both}
                ),
            )
            found = in_turns(sides)
            told = f"{case}, openvino int8, {threads} threads"
            ours, theirs, limit = (found[name] for name in ("ours", "theirs", "limit"))
            yield latencies("picture to labels", told, ours, theirs, whole_goal)
            yield latencies("picture to labels over decode + bare call", told, ours, limit, 1.1)


def artifacts(setting: Setting) -> Iterator[Row]:
    """Our int8 artifact beside the vendor's, input and output work included."""
    recipes = [("openvino", "int8"), ("onnx", "int8"), ("onnx", "int8-best"), ("tflite", "int8")]
    for model_format, name in recipes:
        for threads in (1, 2):
            sides = (
                Side(
                    "ours",
                    "engines:predict_proba",
                    {"path": setting.ours(model_format), "threads": threads},
                ),
                Side(
                    "theirs",
                    "usual:prepared",
                    {"path": setting.theirs(model_format, name), "threads": threads},
                ),
            )
            found = in_turns(sides)
            best = ", best options" if name.endswith("best") else ""
            case = f"{model_format}{best}, {threads} threads"
            yield latencies("int8 artifact", case, found["ours"], found["theirs"], 1.0)
