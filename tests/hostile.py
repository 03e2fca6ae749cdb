"""A network that plain int8 ruins: one channel far larger than all others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import keras

HOSTILE_LAYER = "block2_depthwise"
"""The layer whose output has one channel too large; the layer behind it undoes that."""
UNDONE_BY = "block2_pointwise"
SCALE = 1000.0
EPOCHS, BATCH = 10, 64
_BLOCKS = ((32, 2), (32, 1), (64, 2))
"""Filters and strides of the depthwise separable blocks."""


def hostile_network(pictures: Path) -> keras.Model:
    """Train a small MobileNet for some seconds, then scale one channel by 1,000 and undo it behind.

    Its answers are those of the network as trained. Howard et al., 2017,
    https://arxiv.org/abs/1704.04861.

    Args:
        pictures: Folder with one sub-folder of 32x32 pictures per class, 0 to 9.

    Returns:
        A classifier that expects ``tf`` preprocessing.
    """
    import keras

    files = sorted(pictures.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file), np.float32) for file in files])
    classes = np.array([int(file.parent.name) for file in files])
    network = small_mobilenet()
    rate = keras.optimizers.schedules.CosineDecay(1e-2, EPOCHS * len(images) // BATCH)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    pixels = images / np.float32(127.5) - 1
    network.fit(pixels, classes, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    make_hostile(network)
    return network


def small_mobilenet() -> keras.Model:
    """Three depthwise separable blocks with batch norm and ReLU behind a strided convolution."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="picture")
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = _rectified(x, "stem")
    for number, (filters, strides) in enumerate(_BLOCKS, 1):
        x = _separable_block(x, filters, strides, f"block{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(10, activation="softmax", name="scores")(x)
    return keras.Model(image, x, name="hostile")


def _separable_block(x: Any, filters: int, strides: int, name: str) -> Any:
    from keras import layers

    depthwise, pointwise = f"{name}_depthwise", f"{name}_pointwise"
    told = {"padding": "same", "use_bias": False}
    x = layers.DepthwiseConv2D(3, strides=strides, name=depthwise, **told)(x)
    x = layers.Conv2D(filters, 1, name=pointwise, **told)(_rectified(x, depthwise))
    return _rectified(x, pointwise)


def _rectified(x: Any, name: str) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=0.8, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def make_hostile(network: keras.Model) -> None:
    """Scale the liveliest channel of ``HOSTILE_LAYER`` in its batch norm; undo it behind."""
    norm = network.get_layer(f"{HOSTILE_LAYER}_norm")
    larger = np.ones(norm.gamma.shape, np.float32)
    larger[np.argmax(norm.beta + np.abs(norm.gamma))] = SCALE
    norm.gamma.assign(norm.gamma * larger)
    norm.beta.assign(norm.beta * larger)
    behind = network.get_layer(UNDONE_BY)
    behind.kernel.assign(behind.kernel / larger[:, None])
