"""What the pages take for granted: a trained model, pictures, and what the README made of them."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.blocks import runnable
from docs.promises import ROOT
from docs.running import Reader, settle

if TYPE_CHECKING:
    from conftest import TrainedDigits

MEANS = (103.939, 116.779, 123.68)
"""What ``caffe`` preprocessing takes off blue, green and red."""


@pytest.fixture(scope="session")
def after_readme(trained: "TrainedDigits", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has done what the README says; other pages begin there."""
    folder = tmp_path_factory.mktemp("reader")
    prepare(folder, trained)
    with pytest.MonkeyPatch.context() as patch:
        settle(folder, patch)
        reader = Reader(folder)
        for block in runnable(ROOT / "README.md"):
            reader.follow(block)
            for artifact in (folder / "artifacts").glob("my_model.int8.*"):
                shutil.copy(artifact, folder)  # to the program that embeds it
    return folder


def prepare(folder: Path, trained: "TrainedDigits") -> None:
    """Everything that pages name and do not make."""
    from edgeferry.app.digits import LABELS

    taking_caffe(trained.keras_path).save(folder / "my_model.keras")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    copy_some(trained.calibration, folder / "pictures", 10)
    copy_some(trained.pictures, folder / "labeled", 6)
    write_photograph(folder / "labeled", folder / "cat.jpg")
    (folder / "examples").symlink_to(ROOT / "examples")


def taking_caffe(path: Path) -> Any:
    """The trained network behind a layer that undoes ``caffe``; its pictures are gray."""
    import keras

    image = keras.Input((32, 32, 3))
    offsets = [mean / 127.5 - 1 for mean in MEANS]
    network = keras.saving.load_model(path)
    return keras.Model(image, network(keras.layers.Rescaling(1 / 127.5, offsets)(image)))


def copy_some(source: Path, target: Path, count: int) -> None:
    """The first pictures of each class."""
    for folder in source.iterdir():
        (target / folder.name).mkdir(parents=True)
        for picture in sorted(folder.iterdir())[:count]:
            shutil.copy(picture, target / folder.name)


def write_photograph(pictures: Path, path: Path) -> None:
    from PIL import Image

    digit = Image.open(next(pictures.glob("3/*.png")))
    digit.resize((320, 240)).convert("RGB").save(path)
