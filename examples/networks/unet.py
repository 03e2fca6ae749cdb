"""U-Net: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation".

The paper (2015) has depth 4 and width 64. Convolutions are padded, so that the mask is as large
as the picture, and followed by batch normalization, which makes training short.
"""

from typing import Any

import keras
from keras import layers

PREPROCESSING = "zero_one"


def unet(size: int = 224, classes: int = 2, depth: int = 4, width: int = 64) -> Any:
    """Build it for RGB pictures of ``size`` pixels, a multiple of 2 to the power of ``depth``."""
    x = image = keras.Input((size, size, 3))
    across = []
    for level in range(depth):
        x = _twice(x, width * 2**level, f"down{level + 1}")
        across.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _twice(x, width * 2**depth, "bottom")
    for level in reversed(range(depth)):
        filters = width * 2**level
        x = layers.Conv2DTranspose(filters, 2, strides=2, name=f"up{level + 1}_grow")(x)
        x = _twice(layers.Concatenate()([across[level], x]), filters, f"up{level + 1}")
    mask = layers.Conv2D(classes, 1, activation="softmax", name="mask")(x)
    return keras.Model(image, mask, name="unet")


def _twice(x: Any, filters: int, name: str) -> Any:
    for number in (1, 2):
        label = f"{name}_{number}"
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=label)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x
