"""ResNet18: He et al., "Deep residual learning for image recognition", 2015; basic blocks."""

from typing import Any

import keras
from keras import layers

PREPROCESSING = "torch"
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and the stride of the first of two blocks."""


def resnet18(size: int = 224, classes: int = 1000) -> Any:
    """Build it for RGB pictures of ``size`` pixels, 32 or more."""
    image = keras.Input((size, size, 3))
    x = layers.ReLU()(_convolution(image, 64, 7, 2, "conv1"))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, (filters, stride) in enumerate(STAGES, start=2):
        x = _block(x, filters, stride, f"conv{stage}_1")
        x = _block(x, filters, 1, f"conv{stage}_2")
    x = layers.GlobalAveragePooling2D()(x)
    scores = layers.Dense(classes, "softmax", name="classifier")(x)
    return keras.Model(image, scores, name="resnet18")


def _block(x: Any, filters: int, stride: int, name: str) -> Any:
    changes = stride != 1 or x.shape[-1] != filters
    shortcut = _convolution(x, filters, 1, stride, f"{name}_shortcut") if changes else x
    x = layers.ReLU()(_convolution(x, filters, 3, stride, f"{name}a"))
    x = _convolution(x, filters, 3, 1, f"{name}b")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
