"""Pictures of circles, squares and triangles, with their masks and boxes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

KINDS = ("circle", "square", "triangle")
MOST = 3
"""Largest number of shapes on a picture."""


@dataclass(frozen=True)
class Scene:
    """One picture.

    Attributes:
        image: uint8 ``[size, size, 3]``.
        mask: uint8 ``[size, size]``: 0 where nothing is, else 1 + the index of the kind.
        boxes: float32 ``[M, 4]``: x1, y1, x2, y2 as shares of the picture.
        kinds: int64 ``[M]``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    kinds: NDArray[np.int64]


def draw(count: int, size: int, seed: int) -> list[Scene]:
    """Draw pictures of ``size`` pixels; the same seed gives the same ones."""
    random = np.random.default_rng(seed)
    return [_scene(size, random) for _ in range(count)]


def write(scenes: Sequence[Scene], folder: Path) -> None:
    """Write ``pictures/``, ``masks/`` and ``boxes.json`` (COCO)."""
    for name in ("pictures", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, scene in enumerate(scenes):
        name = f"{number:04}.png"
        Image.fromarray(scene.image).save(folder / "pictures" / name)
        Image.fromarray(scene.mask).save(folder / "masks" / name)
        height, width = scene.mask.shape
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for box, kind in zip(scene.boxes * width, scene.kinds, strict=True):
            corner, extent = box[:2], box[2:] - box[:2]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": [*map(float, corner), *map(float, extent)],
                    "area": float(extent.prod()),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(KINDS)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(document), encoding="utf-8")


def _scene(size: int, random: np.random.Generator) -> Scene:
    ground = random.integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(ground).resize((size, size), Image.Resampling.BICUBIC)
    mask = Image.new("L", (size, size))
    boxes: list[NDArray[np.float32]] = []
    kinds: list[int] = []
    for _ in range(random.integers(1, MOST + 1)):
        box = _place(size, random, boxes)
        if box is None:
            continue
        kind = int(random.integers(len(KINDS)))
        near = np.asarray(image)[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        color = (near.mean(axis=(0, 1)) + random.integers(80, 176, 3)) % 256
        for canvas, fill in ((image, tuple(map(int, color))), (mask, kind + 1)):
            _draw(ImageDraw.Draw(canvas), KINDS[kind], box, fill)
        boxes.append(box)
        kinds.append(kind)
    noisy = np.asarray(image.filter(ImageFilter.GaussianBlur(0.5))) + random.normal(
        0, 8, (size, size, 3)
    )
    shares = np.asarray(boxes, np.float32).reshape(-1, 4) / size
    return Scene(
        np.clip(noisy, 0, 255).astype(np.uint8), np.asarray(mask), shares, np.asarray(kinds, int)
    )


def _place(
    size: int, random: np.random.Generator, taken: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32] | None:
    """A square that touches no other; None where twenty tries find none."""
    for _ in range(20):
        side = size * random.uniform(0.15, 0.45)
        corner = random.uniform(0, size - side - 1, 2)
        box = np.round(np.concatenate([corner, corner + side])).astype(np.float32)
        if all((box[:2] > other[2:]).any() or (box[2:] < other[:2]).any() for other in taken):
            return box
    return None


def _draw(canvas: ImageDraw.ImageDraw, kind: str, box: NDArray[np.float32], fill: object) -> None:
    left, top, right, bottom = map(float, box)
    if kind == "circle":
        canvas.ellipse((left, top, right, bottom), fill=fill)
    elif kind == "square":
        canvas.rectangle((left, top, right, bottom), fill=fill)
    else:
        canvas.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=fill)
