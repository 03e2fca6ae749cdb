"""A workbench: small networks with every weight in use, prepared and exported in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeferry.calibration.ranges import AUTO
from edgeferry.calibration.store import StoredPictures
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.preparation import PreparationOptions, prepare_source
from edgeferry.exporters.recipes import FP32, Recipe
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.exporters.statistics import Calibration
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.predictor import load
from edgeferry.trained_model import load_trained_model

if TYPE_CHECKING:
    import keras

Images = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

FORMATS = ("tflite", "onnx", "openvino")
RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "openvino": "openvino"}
SPREAD, CLOSE = 0.05, 1e-4


class Workbench:
    """Prepares sources and exports them, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_folder(self) -> Path:
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        return folder

    def prepare(self, source: Any, preprocessing: Any = "tf", **options: Any) -> PreparedSource:
        """Prepare a path or name, or a Keras model, which is saved first."""
        folder = self.new_folder()
        if hasattr(source, "save"):
            source.save(folder / "network.keras")
            source = folder / "network.keras"
        trained = load_trained_model(str(source))
        return prepare_source(trained, PreparationOptions(preprocessing, **options), folder)

    def export(
        self,
        prepared: PreparedSource,
        recipe: Recipe = FP32,
        calibration: Images | None = None,
        formats: Sequence[str] = FORMATS,
    ) -> dict[str, Path]:
        """Export to one artifact of each format; give the files."""
        folder, files = self.new_folder(), {}
        for format in formats:
            exporter = EXPORTERS.load(format)(prepared)
            files[format] = folder / f"network.{recipe.file_tag}{exporter.suffixes[0]}"
            pictures = None if calibration is None else self.calibration(calibration, prepared)
            if recipe.method == AUTO:
                recipe = replace(recipe, method="minmax")
            exporter.export(exporter.prepare(), recipe, pictures, files[format])
        return files

    def calibration(self, images: Images, prepared: PreparedSource) -> Calibration:
        path = self.new_folder() / "calibration.npy"
        np.save(path, images)
        return Calibration(StoredPictures(path), "0" * 64, prepared.contract.input.batch or 1)

    def answers(self, files: dict[str, Path], images: Images) -> dict[str, Probabilities]:
        """What each format's engine answers, on one thread."""
        outputs = self.outputs(files, images)
        return {format: found["probabilities"] for format, found in outputs.items()}

    def outputs(self, files: dict[str, Path], images: Images) -> dict[str, Any]:
        """Every output of each format's engine by name, on one thread."""
        found = {}
        for format, path in files.items():
            with load(path, runtime=RUNTIMES[format], threads=1) as predictor:
                found[format] = predictor.predict_outputs(images)
        return found

    def require_agreement(self, prepared: PreparedSource, images: Images, expected: Any) -> None:
        """Assert that fp32 artifacts of every format answer as the reference does."""
        expected = np.asarray(expected)
        assert np.ptp(expected, axis=0).max() > SPREAD, "these pictures tell little"
        for format, answers in self.answers(self.export(prepared), images).items():
            assert answers.dtype == np.float32
            np.testing.assert_allclose(answers, expected, atol=CLOSE, err_msg=format)


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    (tmp_path / "workbench").mkdir()
    return Workbench(tmp_path / "workbench")


@pytest.fixture(scope="session")
def draw() -> Callable[..., Images]:
    """Draw pictures of blocks and noise: uint8 ``[count, height, width, channels]``."""

    def draw_pictures(height: int = 32, width: int = 32, channels: int = 3, count: int = 8) -> Any:
        random = np.random.default_rng(7)
        blocks = random.integers(0, 256, (count, height // 8, width // 8, channels))
        noise = random.normal(0, 20, (count, height, width, channels))
        return np.clip(blocks.repeat(8, 1).repeat(8, 2) + noise, 0, 255).astype(np.uint8)

    return draw_pictures


@pytest.fixture(scope="session")
def reference() -> Callable[..., Probabilities]:
    """What a Keras model answers to plainly preprocessed pictures."""

    def run(model: keras.Model, images: Images, preprocessing: Any = "tf") -> Any:
        return np.asarray(model(preprocess(images, preprocessing), training=False))

    return run


@pytest.fixture(scope="session")
def settle() -> Callable[..., keras.Model]:
    """Give a new network weights that all matter: batch norms that fit pictures, biases."""

    def settled(model: keras.Model, images: Images, preprocessing: Any = "tf") -> Any:
        from keras import layers

        random = np.random.default_rng(3)
        for layer in model._flatten_layers():
            for weight in layer.weights if not layer._layers else ():
                if weight.name in ("gamma", "beta", "bias"):
                    middle = 1.0 if weight.name == "gamma" else 0.0
                    weight.assign(random.uniform(middle - 0.4, middle + 0.4, weight.shape))
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = 0.0
        model(preprocess(images, preprocessing), training=True)
        last = [each for each in model._flatten_layers() if isinstance(each, layers.Dense)][-1:]
        for layer in last:
            layer.kernel.assign(layer.kernel * 4)
        return model

    return settled


@pytest.fixture(scope="session")
def backbone() -> Callable[..., keras.Model]:
    """Build the trunk of a small ResNet: padded stem, pooling, two residual blocks."""

    def build(shape: tuple[int | None, ...] = (32, 32, 3)) -> Any:
        import keras
        from keras import layers

        keras.utils.set_random_seed(1)
        image = keras.Input(shape)
        x = layers.Conv2D(8, 7, strides=2)(layers.ZeroPadding2D(3)(image))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
        for filters, strides in ((8, 1), (16, 2)):
            x = _residual_block(x, filters, strides)
        return keras.Model(image, x, name="backbone")

    return build


def _residual_block(x: Any, filters: int, strides: int) -> Any:
    from keras import layers

    y = layers.Conv2D(filters, 1, strides=strides)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
    if strides > 1:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides)(x))
    return layers.ReLU()(layers.Add()([x, y]))


@pytest.fixture(scope="session")
def classifier(backbone: Any, settle: Any, draw: Any) -> Callable[..., keras.Model]:
    """Build a fine-tuned network: layers in front, the nested trunk, a head of one's own."""

    def build(
        front: Sequence[Any] = (),
        head: Callable[[Any], Any] | None = None,
        shape: tuple[int | None, ...] = (32, 32, 3),
        preprocessing: Any = "tf",
    ) -> Any:
        import keras
        from keras import layers

        keras.utils.set_random_seed(2)
        image = x = keras.Input(shape)
        for layer in front:
            x = layer(x)
        x = layers.GlobalAveragePooling2D()(backbone(x.shape[1:])(x))
        y = head(x) if head else layers.Dense(5, activation="softmax")(x)
        images = draw(*(size or 32 for size in shape[:2]), shape[2], count=32)
        return settle(keras.Model(image, y, name="network"), images, preprocessing)

    return build
