"""The demo's pictures: scikit-learn's handwritten digits, written as PNG files."""

from pathlib import Path
from shutil import rmtree
from typing import Any

from edgeferry.registry import is_installed, missing_dependency

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZE = 32
"""Height and width of the pictures, pixels: the smallest a ResNet50 takes."""
HELD_OUT = 360
PICTURES = 1797
PARTS = ("calibration", "heldout")
"""Folders of the pictures to train and calibrate on, and of those to judge on."""


def write_digits(folder: Path) -> None:
    """Write 1,437 pictures to train on and 360 held out, one sub-folder per class.

    The split is stratified and always the same. A folder that is complete is left alone.

    Raises:
        MissingDependencyError: If scikit-learn is not installed.
    """
    if len(list(folder.glob("*/*/*.png"))) == PICTURES:
        return
    if not is_installed("sklearn"):
        raise missing_dependency("the demo", ("scikit-learn",), "demo")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    rmtree(folder, ignore_errors=True)
    digits = load_digits()
    indices = range(PICTURES)
    split = train_test_split(
        indices, test_size=HELD_OUT, stratify=digits.target, random_state=0, shuffle=True
    )
    for part, members in zip(PARTS, split, strict=True):
        for index in members:
            path = folder / part / str(digits.target[index]) / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _picture(digits.images[index]).save(path)


def _picture(pixels: Any) -> Any:
    """Enlarge 8×8 pixels of 0 to 16 to an RGB picture."""
    import numpy as np
    from PIL import Image

    gray = Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8))
    return gray.resize((SIZE, SIZE), Image.Resampling.BICUBIC).convert("RGB")
