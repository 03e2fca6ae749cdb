"""YOLOv3: Redmon and Farhadi, "YOLOv3: an incremental improvement", 2018.

Darknet-53 and three scales of three anchors each. ``width`` and ``blocks`` make it smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

PREPROCESSING = "zero_one"
DARKNET53 = (1, 2, 8, 8, 4)
STRIDES = (32, 16, 8)
ANCHORS: NDArray[np.float32] = (
    np.array(
        [
            [(116, 90), (156, 198), (373, 326)],
            [(30, 61), (62, 45), (59, 119)],
            [(10, 13), (16, 30), (33, 23)],
        ],
        np.float32,
    )
    / 416
)
"""Width and height as shares of the picture, three for each of the strides; fitted to COCO."""
IGNORED = -1
"""Objectness of an anchor that fits as well, but not best: it counts for nothing."""


@dataclass(frozen=True)
class Scale:
    """One of the three grids.

    Attributes:
        cells: Number of cells along each side.
        anchors: float32 ``[3, 2]``, width and height as shares of the picture.
    """

    cells: int
    anchors: NDArray[np.float32]


def fitted_anchors(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Anchors for boxes ``[M, 4]``: the middles of nine classes of size, the largest first."""
    extents = boxes[:, 2:] - boxes[:, :2]
    by_size = np.array_split(extents[np.argsort(-extents.prod(axis=1))], 9)
    return np.stack([each.mean(axis=0) for each in by_size]).reshape(3, 3, 2)


def scales(size: int, anchors: NDArray[np.float32] = ANCHORS) -> list[Scale]:
    """The grids for pictures of ``size`` pixels, a multiple of 32; the coarsest first."""
    return [Scale(size // stride, own) for stride, own in zip(STRIDES, anchors, strict=True)]


def yolov3(
    size: int = 416, classes: int = 80, width: int = 32, blocks: Sequence[int] = DARKNET53
) -> Any:
    """Build what is trained: for each scale bare numbers ``[N, cells, cells, 3, 5 + classes]``.

    Args:
        size: Of the RGB pictures, a multiple of 32.
        classes: Number of them.
        width: Channels of the first convolution.
        blocks: Residual blocks of the five stages.
    """
    image = keras.Input((size, size, 3))
    x, stages = _convolution(image, width, 3), []
    for stage, count in enumerate(blocks):
        filters = width * 2 ** (stage + 1)
        x = _convolution(x, filters, 3, stride=2)
        for _ in range(count):
            x = layers.Add()([x, _convolution(_convolution(x, filters // 2, 1), filters, 3)])
        stages.append(x)
    outputs = []
    for level, scale in enumerate(scales(size)):
        filters = width * 2 ** (4 - level)
        if level:
            x = layers.UpSampling2D(2)(_convolution(x, filters, 1))
            x = layers.Concatenate()([x, stages[-1 - level]])
        for _ in range(2):
            x = _convolution(_convolution(x, filters, 1), 2 * filters, 3)
        x = _convolution(x, filters, 1)
        bare = layers.Conv2D(3 * (5 + classes), 1, name=f"detect{level + 1}")(
            _convolution(x, 2 * filters, 3)
        )
        shape = (scale.cells, scale.cells, 3, 5 + classes)
        outputs.append(layers.Reshape(shape, name=f"grid{level + 1}")(bare))
    return keras.Model(image, outputs, name="yolov3")


def decoded(model: Any, anchors: NDArray[np.float32] = ANCHORS) -> Any:
    """The trained network as a detector: ``boxes`` and ``scores``.

    Boxes are ``[N, M, 4]``: x1, y1, x2, y2 as shares of the picture; scores ``[N, M, classes]``;
    both are before non-maximum suppression.
    """
    boxes, scores = [], []
    for bare, scale in zip(model.outputs, scales(model.input_shape[1], anchors), strict=True):
        count, numbers = 3 * scale.cells**2, bare.shape[-1]
        flat = layers.Reshape((count, numbers))(bare)
        corners = np.repeat(_corners(scale.cells).reshape(1, -1, 2), 3, axis=1)
        center = (ops.sigmoid(flat[..., :2]) + corners) / scale.cells
        half = ops.exp(flat[..., 2:4]) * np.tile(scale.anchors, (scale.cells**2, 1))[None] / 2
        boxes.append(ops.concatenate([center - half, center + half], axis=-1))
        scores.append(ops.sigmoid(flat[..., 4:5]) * ops.sigmoid(flat[..., 5:]))
    found = {
        name: layers.Concatenate(axis=1)(all_of_them)
        for name, all_of_them in (("boxes", boxes), ("scores", scores))
    }
    return keras.Model(model.inputs, found, name=model.name)


def targets(
    boxes: NDArray[np.float32],
    kinds: NDArray[np.int64],
    classes: int,
    size: int,
    anchors: NDArray[np.float32] = ANCHORS,
) -> list[NDArray[np.float32]]:
    """What each scale should say of one picture: each box falls to the anchor that fits it best.

    Args:
        boxes: ``[M, 4]``, x1, y1, x2, y2 as shares of the picture.
        kinds: Their classes.
        classes: Number of them.
        size: Of the picture, pixels.
        anchors: ``[3, 3, 2]``, shares of the picture.

    Returns:
        For each scale float32 ``[cells, cells, 3, 5 + classes]``: x and y in the cell, logarithms
        of width and height over the anchor's, objectness, classes.
    """
    grids = scales(size, anchors)
    flat = anchors.reshape(-1, 2)
    wanted = [np.zeros((g.cells, g.cells, 3, 5 + classes), np.float32) for g in grids]
    for box, kind in zip(boxes, kinds, strict=True):
        extent, center = box[2:] - box[:2], (box[2:] + box[:2]) / 2
        shared = np.minimum(extent, flat).prod(axis=1)
        fit = shared / (extent.prod() + flat.prod(axis=1) - shared)
        for each in np.argsort(-fit):
            level, anchor = divmod(int(each), 3)
            cells = grids[level].cells
            column, row = np.minimum((center * cells).astype(int), cells - 1)
            cell = wanted[level][row, column, anchor]
            if each == fit.argmax():
                cell[:] = 0
                cell[:2] = center * cells - (column, row)
                cell[2:4] = np.log(extent / flat[each])
                cell[4] = cell[5 + kind] = 1
            elif fit[each] > 0.5 and cell[4] == 0:
                cell[4] = IGNORED
    return wanted


def loss(wanted: Any, bare: Any) -> Any:
    """The paper's: squared errors of the boxes, cross entropy of objectness and classes."""
    there, counted = ops.cast(wanted[..., 4] == 1, "float32"), wanted[..., 4] != IGNORED
    place = ops.sum(_cross_entropy(wanted[..., :2], bare[..., :2]), axis=-1)
    extent = ops.sum(ops.square(wanted[..., 2:4] - bare[..., 2:4]), axis=-1) / 2
    kind = ops.sum(_cross_entropy(wanted[..., 5:], bare[..., 5:]), axis=-1)
    object_or_not = _cross_entropy(there, bare[..., 4]) * ops.cast(counted, "float32")
    return ops.sum(there * (place + extent + kind) + object_or_not, axis=(1, 2, 3))


def _cross_entropy(wanted: Any, bare: Any) -> Any:
    return ops.maximum(bare, 0) - bare * wanted + ops.log1p(ops.exp(-ops.abs(bare)))


def _corners(cells: int) -> NDArray[np.float32]:
    return np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), axis=-1).astype(np.float32)


def _convolution(x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False)(x)
    return layers.LeakyReLU(0.1)(layers.BatchNormalization()(x))
