"""Results drawn on their pictures: labels beside it, boxes, or a mask laid over it."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_path
from edgeferry.runtimes.results import Detection, Mask, Prediction

_BESIDE = 0.6
"""Width of the column for labels, of the picture's."""
_OPAQUE = 0.5
"""How much of a pixel its class's color covers."""
_GOLDEN = 0.618034
"""Of the color circle: neighboring classes are far apart on it."""


def write_annotated(picture: Path, result: Any, folder: Path) -> Path:
    """Draw a result and write it as ``NAME.png`` into a folder.

    Args:
        picture: The file that was asked about.
        result: What ``Predictor.predict`` gave for it.
        folder: Made if it is missing.

    Raises:
        UsageError: If there is nothing to draw: an embedding, or raw outputs.
        OutputError: If the file cannot be written.
    """
    with Image.open(picture) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    drawn = annotated(image, result)
    path = folder / f"{picture.stem}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            drawn.save(temporary, "PNG")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def annotated(image: Image.Image, result: Any) -> Image.Image:
    """A picture with a result drawn on it, or beside it.

    Args:
        image: RGB, upright.
        result: Predictions, detections or a mask.

    Raises:
        UsageError: If it is of another kind.
    """
    if isinstance(result, Mask):
        return _overlaid(image, result)
    if isinstance(result, list) and all(isinstance(each, Detection) for each in result):
        return _boxed(image, result)
    if isinstance(result, list) and all(isinstance(each, Prediction) for each in result):
        return _labeled(image, result)
    raise UsageError("embeddings and raw outputs cannot be drawn", "Leave --annotate out")


def color_of(index: int) -> tuple[int, int, int]:
    """The color that a class is drawn in, the same everywhere."""
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _labeled(image: Image.Image, predictions: list[Prediction]) -> Image.Image:
    size = max(12, image.width // 20)
    canvas = Image.new("RGB", (round(image.width * (1 + _BESIDE)), image.height), "white")
    canvas.paste(image)
    draw = ImageDraw.Draw(canvas)
    for line, each in enumerate(predictions):
        text = f"{each.score:.3f} {each.label}"
        place = (image.width + size // 2, (line + 0.5) * 1.4 * size)
        draw.text(place, text, fill="black", font=ImageFont.load_default(size))
    return canvas


def _boxed(image: Image.Image, detections: list[Detection]) -> Image.Image:
    canvas, width = image.copy(), max(1, min(image.size) // 150)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(max(10, min(image.size) // 25))
    for each in reversed(detections):  # the surest on top
        color, text = color_of(each.index), f"{each.label} {each.score:.2f}"
        draw.rectangle(each.box, outline=color, width=width)
        corner = (each.box[0], each.box[1])
        draw.rectangle(draw.textbbox(corner, text, font), fill=color)
        draw.text(corner, text, fill="white", font=font)
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
