"""Train a network in a few minutes, with the pictures that an export of it needs.

python examples/train.py unet -o unet-trained

Classifiers learn scikit-learn's handwritten digits; U-Net and YOLOv3 learn drawn shapes. The
folder then holds NAME.keras, labels.txt, calibration/ and heldout/, and the commands to go on with
are printed.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import shapes
import tensorflow as tf
from networks import alexnet, googlenet, resnet18, unet, yolov3
from PIL import Image

from edgeferry.applications import APPLICATIONS
from edgeferry.preprocessing import preprocess

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HELD_OUT = 360
SHAPES = {"segmentation": 1600, "detection": 8000}
SHAPES_HELD_OUT = 200


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        preprocessing: What it expects of its pictures.
        build: Makes it for a size and a number of classes.
        size: Of the pictures, pixels.
        epochs: Passes over the pictures.
        rate: Adam's learning rate at the start; it falls to 0 along a cosine.
        batch: Pictures per step.
        task: ``classification``, ``segmentation`` or ``detection``.
    """

    preprocessing: str
    build: Callable[[int, int], Any]
    size: int = 64
    epochs: int = 10
    rate: float = 1e-3
    batch: int = 32
    task: str = "classification"


def _application(name: str) -> Callable[[int, int], Any]:
    builder = getattr(keras.applications, APPLICATIONS[name].builder)
    return lambda size, classes: builder(weights=None, input_shape=(size, size, 3), classes=classes)


def _small_unet(size: int, classes: int) -> Any:
    return unet.unet(size, classes + 1, depth=3, width=12)


def _small_yolov3(size: int, classes: int) -> Any:
    return yolov3.yolov3(size, classes, width=8, blocks=(1, 1, 2, 2, 1))


def recipes() -> dict[str, Recipe]:
    """Every network that can be trained here."""
    own = {
        "alexnet": Recipe(alexnet.PREPROCESSING, alexnet.alexnet, 64, 12, 2e-4),
        "googlenet": Recipe(googlenet.PREPROCESSING, googlenet.googlenet, 64),
        "resnet18": Recipe(resnet18.PREPROCESSING, resnet18.resnet18, 64, 12),
        "unet": Recipe(unet.PREPROCESSING, _small_unet, 64, 6, 2e-3, 16, "segmentation"),
        "yolov3": Recipe(yolov3.PREPROCESSING, _small_yolov3, 64, 8, 2e-3, task="detection"),
    }
    applications = {
        name: Recipe(each.preprocessing, _application(name)) for name, each in APPLICATIONS.items()
    }
    special = {
        "resnet50": {"size": 32, "epochs": 14},
        "vgg16": {"size": 32, "epochs": 10, "rate": 1e-4},
        "inception_v3": {"size": 80, "epochs": 8},
        "mobilenet": {"size": 64},
        "mobilenet_v2": {"size": 96, "epochs": 20},
        "efficientnet_b0": {"size": 96, "epochs": 14},
    }
    changed = {name: replace(applications[name], **told) for name, told in special.items()}
    return applications | changed | own


def main() -> None:
    """Train one network and write what belongs to it."""
    known = recipes()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=known, metavar="NETWORK", help=", ".join(known))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, help="of the pictures, pixels")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--pictures", type=int, help="drawn pictures to train on")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    recipe = known[told.network]
    recipe = replace(recipe, size=told.size or recipe.size, epochs=told.epochs or recipe.epochs)
    keras.utils.set_random_seed(told.seed)
    told.output.mkdir(parents=True, exist_ok=True)
    tasks = {"classification": _classifier, "segmentation": _segmenter, "detection": _detector}
    pictures = told.pictures or SHAPES.get(recipe.task, 0)
    model = tasks[recipe.task](recipe, told.output, pictures)
    # A model of its own leaves out Adam's moments, two thirds of the file.
    keras.Model(model.inputs, model.output, name=model.name).save(
        told.output / f"{told.network}.keras"
    )
    settings = {"task": recipe.task, "preprocessing": recipe.preprocessing, "size": recipe.size}
    (told.output / "training.json").write_text(json.dumps(settings | {"epochs": recipe.epochs}))
    print(_next_commands(told.network, told.output, recipe))


def _classifier(recipe: Recipe, folder: Path, pictures: int) -> Any:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.stack([_enlarged(each, recipe.size) for each in digits.images])
    split = train_test_split(
        images, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=0
    )
    learned, held_out, classes, held_out_classes = split
    for part, of_it, its_classes in (
        ("calibration", learned, classes),
        ("heldout/pictures", held_out, held_out_classes),
    ):
        for number, (image, digit) in enumerate(zip(of_it, its_classes, strict=True)):
            _save(image, folder / part / str(digit) / f"{number:04}.png")
    _write_labels(folder, DIGITS)
    model = recipe.build(recipe.size, len(DIGITS))
    _train(model, recipe, learned, classes, "sparse_categorical_crossentropy", augment=True)
    found = model.predict(preprocess(held_out, recipe.preprocessing), verbose=0)
    print(
        f"top-1 on {HELD_OUT} held-out digits: {np.mean(found.argmax(1) == held_out_classes):.1%}"
    )
    return model


def _segmenter(recipe: Recipe, folder: Path, pictures: int) -> Any:
    learned = _shapes(recipe, folder, pictures, ("background", *shapes.KINDS))
    images, masks = (
        np.stack([getattr(each, name) for each in learned]) for name in ("image", "mask")
    )
    model = recipe.build(recipe.size, len(shapes.KINDS))
    _train(model, recipe, images, masks, "sparse_categorical_crossentropy")
    return model


def _detector(recipe: Recipe, folder: Path, pictures: int) -> Any:
    learned = _shapes(recipe, folder, pictures, shapes.KINDS)
    images = np.stack([each.image for each in learned])
    kinds = len(shapes.KINDS)
    anchors = yolov3.fitted_anchors(np.concatenate([each.boxes for each in learned]))
    wanted = [
        yolov3.targets(each.boxes, each.kinds, kinds, recipe.size, anchors) for each in learned
    ]
    grids = tuple(np.stack(of_scale) for of_scale in zip(*wanted, strict=True))
    model = recipe.build(recipe.size, kinds)
    _train(model, recipe, images, grids, [yolov3.loss] * len(grids))
    return yolov3.decoded(model, anchors)


def _shapes(recipe: Recipe, folder: Path, count: int, labels: Sequence[str]) -> list[shapes.Scene]:
    learned = shapes.draw(count, recipe.size, seed=1)
    shapes.write(shapes.draw(SHAPES_HELD_OUT, recipe.size, seed=2), folder / "heldout")
    for number, scene in enumerate(learned[:HELD_OUT]):
        _save(scene.image, folder / "calibration" / f"{number:04}.png")
    _write_labels(folder, labels)
    return learned


def _train(
    model: Any, recipe: Recipe, images: Any, wanted: Any, loss: Any, augment: bool = False
) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # Keras's 0.99 would need thousands of steps to settle
    batches = _batches(images, wanted, recipe, augment)
    rate = keras.optimizers.schedules.CosineDecay(recipe.rate, len(batches) * recipe.epochs)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(batches, epochs=recipe.epochs, verbose=2)


def _batches(images: Any, wanted: Any, recipe: Recipe, augment: bool) -> Any:
    moves = (
        keras.layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
        keras.layers.RandomRotation(0.04, fill_mode="constant"),
        keras.layers.RandomZoom(0.1, fill_mode="constant"),
    )

    def moved(chosen: Any, its: Any) -> Any:
        for move in moves:
            chosen = move(chosen, training=True)
        return chosen, its

    # Black is what is outside, so that pictures are moved before they are preprocessed.
    def prepared(chosen: Any, its: Any) -> Any:
        return tf.numpy_function(_as_expected, [chosen, recipe.preprocessing], tf.float32), its

    def shaped(chosen: Any, its: Any) -> Any:
        return tf.ensure_shape(chosen, (None, *images.shape[1:])), its

    dataset = tf.data.Dataset.from_tensor_slices((images, wanted)).shuffle(len(images), seed=0)
    dataset = dataset.batch(recipe.batch, drop_remainder=True)
    dataset = dataset.map(moved) if augment else dataset
    return dataset.map(prepared).map(shaped).prefetch(2)


def _as_expected(images: Any, preprocessing: bytes) -> Any:
    return preprocess(np.clip(np.rint(images), 0, 255).astype(np.uint8), preprocessing.decode())


def _enlarged(pixels: Any, size: int) -> Any:
    """8×8 numbers of 0 to 16 as a picture."""
    gray = Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8))
    return np.asarray(gray.resize((size, size), Image.Resampling.BICUBIC).convert("RGB"))


def _save(image: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _write_labels(folder: Path, labels: Sequence[str]) -> None:
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


def _next_commands(name: str, folder: Path, recipe: Recipe) -> str:
    truth = {"segmentation": "masks", "detection": "boxes.json"}.get(recipe.task)
    judged = f" --truth {folder}/heldout/{truth}" if truth else ""
    return (
        f"edgeferry export {folder}/{name}.keras -o {folder}/artifacts --resize squash \\\n"
        f"    --preprocessing {recipe.preprocessing} --labels {folder}/labels.txt "
        f"--calibration {folder}/calibration\n"
        f"edgeferry evaluate {folder}/artifacts --reference {folder}/{name}.keras \\\n"
        f"    --images {folder}/heldout/pictures{judged}"
    )


if __name__ == "__main__":
    main()
