"""GoogLeNet (Inception v1): Szegedy et al., "Going deeper with convolutions", 2014.

Table 1 of the paper, with batch normalization in place of local response normalization, and
without the auxiliary classifiers, which are for training only.
"""

from typing import Any

import keras
from keras import layers

PREPROCESSING = "tf"
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels: 1×1; before 3×3, 3×3; before 5×5, 5×5; behind the pool."""
POOL_BEHIND = ("3b", "4e")


def googlenet(size: int = 224, classes: int = 1000) -> Any:
    """Build it for RGB pictures of ``size`` pixels, 32 or more."""
    image = keras.Input((size, size, 3))
    x = _convolution(image, 64, 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = _convolution(x, 64, 1, "conv2_reduce")
    x = _convolution(x, 192, 3, "conv2")
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for name, channels in BLOCKS.items():
        x = _inception(x, channels, f"inception_{name}")
        if name in POOL_BEHIND:
            x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    scores = layers.Dense(classes, "softmax", name="classifier")(x)
    return keras.Model(image, scores, name="googlenet")


def _inception(x: Any, channels: tuple[int, ...], name: str) -> Any:
    one, before_three, three, before_five, five, behind_pool = channels
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    branches = [
        _convolution(x, one, 1, f"{name}_1x1"),
        _convolution(
            _convolution(x, before_three, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"
        ),
        _convolution(_convolution(x, before_five, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
        _convolution(pooled, behind_pool, 1, f"{name}_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def _convolution(x: Any, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides, "same", use_bias=False, name=name)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))
