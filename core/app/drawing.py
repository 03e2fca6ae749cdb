"""Text and tiles for pictures that people look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, sqrt

from PIL import Image, ImageFont

PAPER, INK, ACCENT = (255, 255, 255), (29, 31, 33), (0, 114, 178)
MARGIN = 12
"""Around and between what is drawn, pixels."""
_FONT = "DejaVuSans.ttf"
"""Knows the letters of most languages; Pillow's own, where it is missing, knows the Latin ones."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of some height, pixels."""
    try:
        return ImageFont.truetype(_FONT, round(0.8 * size))
    except OSError:
        return ImageFont.load_default(round(0.9 * size))


def shortened(text: str, size: int, width: float) -> str:
    """A text, cut with an ellipsis so that it is no wider than told."""
    letters = font(size)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures in a row, with a margin around each."""
    width = sum(each.width + MARGIN for each in images) + MARGIN
    height = max(each.height for each in images) + 2 * MARGIN
    canvas, left = Image.new("RGB", (width, height), PAPER), MARGIN
    for each in images:
        canvas.paste(each, (left, MARGIN))
        left += each.width + MARGIN
    return canvas


def contact_sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures in rows and columns, so that the sheet is about square.

    Args:
        images: At least one; each stands at the top left of its cell.
    """
    width, height = (max(sizes) for sizes in zip(*(each.size for each in images), strict=True))
    columns = min(len(images), max(1, round(sqrt(len(images) * height / width))))
    sheet = Image.new("RGB", (columns * width, ceil(len(images) / columns) * height), PAPER)
    for position, each in enumerate(images):
        row, column = divmod(position, columns)
        sheet.paste(each, (column * width, row * height))
    return sheet
