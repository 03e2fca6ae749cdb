"""AlexNet: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.

The paper's second form, in one column; without the local response normalization of the first,
which later work (Simonyan and Zisserman, 2014) found to be of no use.
"""

from typing import Any

import keras
from keras import layers

PREPROCESSING = "tf"


def alexnet(size: int = 224, classes: int = 1000) -> Any:
    """Build it for RGB pictures of ``size`` pixels, 63 or more."""
    image = keras.Input((size, size, 3))
    x = layers.ZeroPadding2D(2)(image)
    x = layers.Conv2D(64, 11, strides=4, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Conv2D(192, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv5")(x)
    if x.shape[1] >= 3:
        x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dropout(0.5)(layers.Dense(4096, activation="relu", name="fc6")(x))
    x = layers.Dense(4096, activation="relu", name="fc7")(x)
    return keras.Model(image, layers.Dense(classes, "softmax", name="fc8")(x), name="alexnet")
