"""Results drawn on their pictures: bars beside it, boxes, or a mask laid over it."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from edgeferry.app.drawing import ACCENT, INK, MARGIN, PAPER, beside, font, shortened
from edgeferry.errors import UsageError
from edgeferry.runtimes.results import Detection, Mask, Prediction

SIDE = 480
"""Height of a picture in the drawing, and its largest width, pixels."""
_COLUMN, _LINE, _BAR = 320, 16, 12
"""Width of the answers' column, height of its text and of its bars."""
_TRACK, _OTHER, _CHANGED = (226, 230, 234), (120, 160, 190), (213, 94, 0)
_OPAQUE = 0.5
"""How much of a pixel its class's color covers."""
_GOLDEN = 0.618034
"""Of the color circle: neighboring classes are far apart on it."""


def annotated(image: Image.Image, results: Mapping[str, Any]) -> Image.Image:
    """A picture with what artifacts say about it, side by side.

    Args:
        image: RGB, upright.
        results: By the artifact's name, predictions, detections or a mask. The name is shown
            where there are several; answers that are not the first one's stand out.

    Raises:
        UsageError: If a result is of another kind.
    """
    names = list(results) if len(results) > 1 else [""]
    first, *_ = results.values()
    if _holds(first, Prediction) and first:
        columns = [
            _column(name, result, first[0].index)
            for name, result in zip(names, results.values(), strict=True)
        ]
        return beside([_fitted(image), *columns])
    drawn = [_fitted(_drawn(image, result)) for result in results.values()]
    return beside([_titled(name, each) for name, each in zip(names, drawn, strict=True)])


def color_of(index: int) -> tuple[int, int, int]:
    """The color that a class is drawn in, the same everywhere."""
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _drawn(image: Image.Image, result: Any) -> Image.Image:
    if isinstance(result, Mask):
        return _overlaid(image, result)
    if _holds(result, Detection):
        return _boxed(image, result)
    raise UsageError("embeddings and raw outputs cannot be drawn", "Leave --annotate out")


def _holds(result: Any, kind: type) -> bool:
    return isinstance(result, list) and all(isinstance(each, kind) for each in result)


def _fitted(image: Image.Image) -> Image.Image:
    """A picture as large as all others: small ones are enlarged, so that answers can be read."""
    return ImageOps.contain(image, (SIDE, SIDE))


def _titled(name: str, image: Image.Image) -> Image.Image:
    if not name:
        return image
    height = _LINE + MARGIN
    canvas = Image.new("RGB", (image.width, image.height + height), PAPER)
    canvas.paste(image, (0, height))
    text = shortened(name, _LINE, image.width)
    ImageDraw.Draw(canvas).text((0, 0), text, fill=INK, font=font(_LINE))
    return canvas


def _column(name: str, predictions: Sequence[Prediction], expected: int) -> Image.Image:
    """Labels with their bars, one below the other."""
    row = _LINE + _BAR + MARGIN + 4
    top = _LINE + MARGIN if name else 0
    canvas = Image.new("RGB", (_COLUMN, top + row * len(predictions)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((0, 0), shortened(name, _LINE, _COLUMN), fill=INK, font=font(_LINE))
    for line, each in enumerate(predictions):
        color = _OTHER if line else ACCENT if each.index == expected else _CHANGED
        _bar(draw, top + line * row, each, color)
    return canvas


def _bar(
    draw: ImageDraw.ImageDraw, top: int, answer: Prediction, color: tuple[int, int, int]
) -> None:
    share = f"{100 * answer.score:.1f} %"
    width = font(_LINE).getlength(share)
    label = shortened(answer.label, _LINE, _COLUMN - width - MARGIN)
    draw.text((0, top), label, fill=INK, font=font(_LINE))
    draw.text((_COLUMN - width, top), share, fill=INK, font=font(_LINE))
    under = top + _LINE + 4
    draw.rectangle((0, under, _COLUMN - 1, under + _BAR), fill=_TRACK)
    if answer.score > 0:
        right = max(1, round((_COLUMN - 1) * min(1.0, answer.score)))
        draw.rectangle((0, under, right, under + _BAR), fill=color)


def _boxed(image: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    canvas, width = image.copy(), max(1, min(image.size) // 150)
    draw, letters = ImageDraw.Draw(canvas), font(max(10, min(image.size) // 25))
    for each in reversed(detections):  # the surest on top
        color, text = color_of(each.index), f"{each.label} {each.score:.2f}"
        draw.rectangle(each.box, outline=color, width=width)
        corner = (each.box[0], each.box[1])
        draw.rectangle(draw.textbbox(corner, text, letters), fill=color)
        draw.text(corner, text, fill="white", font=letters)
    return canvas


def _overlaid(image: Image.Image, mask: Mask) -> Image.Image:
    """Class 0, the background by custom, stays as it is, and so does what was not seen."""
    classes = mask.on_picture()
    pixels = np.array(image, np.float32)
    for index in np.unique(classes[classes > 0]).tolist():
        of_class = classes == index
        color = np.asarray(color_of(index), np.float32)
        pixels[of_class] = (1 - _OPAQUE) * pixels[of_class] + _OPAQUE * color
    return Image.fromarray(pixels.round().astype(np.uint8))
