"""The demo's training: a ResNet50 on handwritten digits, in about four minutes."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.digits import LABELS, SIZE
from edgeferry.files import atomic_write_text
from edgeferry.progress import Progress


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    Attributes:
        epochs: Passes over the pictures.
        batch: Pictures per step.
        learning_rate: Adam's at the start; it falls to 0 along a cosine.
        momentum: Of the batch normalization's statistics: Keras's 0.99 would need thousands
            of steps to settle, and there are a few hundred.
        shift: Largest shift of a picture, share of its size.
        turn: Largest rotation, share of a full turn.
        zoom: Largest zoom, share of its size.
        seed: Of the weights, the order and the augmentation.
    """

    epochs: int = 18
    batch: int = 64
    learning_rate: float = 1e-3
    momentum: float = 0.9
    shift: float = 0.08
    turn: float = 0.04
    zoom: float = 0.1
    seed: int = 0


def is_trained(model: Path, training: Training) -> bool:
    """Whether a file holds a network trained in just this way."""
    try:
        kept = json.loads(_settings_path(model).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return model.is_file() and bool(kept == asdict(training))


def train(pictures: Path, model: Path, training: Training, progress: Progress) -> None:
    """Train and save a network.

    Args:
        pictures: Folder with one sub-folder of pictures per class.
        model: The ``.keras`` file to write; its settings go beside it.
        training: How.
        progress: Told each step.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    _settings_path(model).unlink(missing_ok=True)
    keras.utils.set_random_seed(training.seed)
    network = _network(training)
    batches = _batches(pictures, training)
    steps = len(batches) * training.epochs
    rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, steps)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    told = _told(progress, steps)
    network.fit(batches, epochs=training.epochs, verbose=0, shuffle=False, callbacks=[told])
    partial = model.with_name(f".partial-{model.name}")
    # A model of its own leaves out Adam's moments, two thirds of the file.
    keras.Model(network.inputs, network.outputs, name=network.name).save(partial)
    partial.replace(model)
    atomic_write_text(_settings_path(model), json.dumps(asdict(training), indent=2) + "\n")


def _settings_path(model: Path) -> Path:
    return model.with_suffix(".json")


def _network(training: Training) -> Any:
    import keras

    network = keras.applications.ResNet50(
        weights=None, input_shape=(SIZE, SIZE, 3), classes=len(LABELS)
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = training.momentum
    return network


def _batches(pictures: Path, training: Training) -> Any:
    import tensorflow as tf
    from keras.layers import RandomRotation, RandomTranslation, RandomZoom

    layers = (
        RandomTranslation(training.shift, training.shift, fill_mode="constant"),
        RandomRotation(training.turn, fill_mode="constant"),
        RandomZoom(training.zoom, fill_mode="constant"),
    )

    def augmented(images: Any, classes: Any) -> Any:
        images = tf.cast(images, tf.float32)
        for layer in layers:
            images = layer(images, training=True)
        return images / 127.5 - 1, classes

    images, classes = _read(pictures)
    dataset = tf.data.Dataset.from_tensor_slices((images, classes))
    shuffled = dataset.shuffle(len(images), seed=training.seed)
    return shuffled.batch(training.batch, drop_remainder=True).map(augmented).prefetch(2)


def _read(pictures: Path) -> Any:
    import numpy as np
    from PIL import Image

    files = sorted(pictures.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    return images, np.array([int(file.parent.name) for file in files])


def _told(progress: Progress, steps: int) -> Any:
    import keras

    class Told(keras.callbacks.Callback):  # type: ignore[misc]
        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            progress("training ResNet50 on digits", self.done, steps)

    return Told()
