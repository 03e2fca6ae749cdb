"""Fixtures for every test: a small trained network and its nine artifacts, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainedDigits:
    """A small residual network, trained on handwritten digits.

    Attributes:
        keras_path: The ``.keras`` file; it expects ``tf`` preprocessing.
        pictures: Folder of held-out PNG pictures, one sub-folder per class.
        calibration: Folder of the other pictures, likewise.
        images: uint8 ``[360, 32, 32, 3]``, the held-out pictures in sorted order.
        classes: int ``[360]``, what they show.
        reference: float32 ``[360, 10]``, the Keras model's probabilities for ``images``.
    """

    keras_path: Path
    pictures: Path
    calibration: Path
    images: NDArray[np.uint8]
    classes: NDArray[np.int64]
    reference: NDArray[np.float32]


@dataclass(frozen=True)
class Exported(TrainedDigits):
    """The network's nine artifacts.

    Attributes:
        folder: Where they lie, with ``manifest.json``.
        labels: Their labels.
    """

    folder: Path
    labels: tuple[str, ...]


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Journals of benchmarks in a folder of this process: others at work have their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the demo's pictures: ``calibration`` and ``heldout``."""
    from edgeferry.app.digits import write_digits

    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return folder


@pytest.fixture(scope="session")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedDigits:
    """The small network, trained for some seconds."""
    images, classes = read_pictures(digits / "calibration")
    network = small_network()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(to_tf(images), classes, epochs=8, batch_size=64, verbose=0)
    path = tmp_path_factory.mktemp("trained") / "digits.keras"
    network.save(path)
    held_out, shown = read_pictures(digits / "heldout")
    reference = np.asarray(network(to_tf(held_out), training=False))
    return TrainedDigits(
        path, digits / "heldout", digits / "calibration", held_out, shown, reference
    )


@pytest.fixture(scope="session")
def exported(trained: TrainedDigits, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The small network exported to every format and precision."""
    from edgeferry.app.digits import LABELS
    from edgeferry.app.export import ExportOptions, export
    from edgeferry.contract import ResizeRule

    work = tmp_path_factory.mktemp("exported")
    labels = work / "labels.txt"
    labels.write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    options = ExportOptions(
        calibration=trained.calibration,
        labels=labels,
        preprocessing="tf",
        resize=ResizeRule("squash"),
        calibration_count=64,
    )
    report = export(trained.keras_path, work / "artifacts", options)
    assert not report.failures
    return Exported(**vars(trained), folder=work / "artifacts", labels=LABELS)


def small_network() -> keras.Model:
    """Two residual blocks with batch norm behind a strided, padded convolution."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="picture")
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(16, 3, strides=2)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    for filters in (16, 32):
        x = _residual_block(x, filters)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="digits")


def _residual_block(x: Any, filters: int) -> Any:
    from keras import layers

    def normalized(y: Any) -> Any:
        return layers.BatchNormalization(momentum=0.8)(y)

    shortcut = normalized(layers.Conv2D(filters, 1, strides=2, use_bias=False)(x))
    y = normalized(layers.Conv2D(filters, 3, strides=2, padding="same")(x))
    y = normalized(layers.Conv2D(filters, 3, padding="same")(layers.ReLU()(y)))
    return layers.ReLU()(layers.Add()([shortcut, y]))


def read_pictures(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All pictures of a folder with one sub-folder per class, and their classes."""
    from PIL import Image

    files = sorted(folder.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    return images, np.array([int(file.parent.name) for file in files])


def to_tf(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``tf`` preprocessing: -1 to 1."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)
