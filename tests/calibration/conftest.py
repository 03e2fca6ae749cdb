"""Small pictures to calibrate on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeferry.contract import InputSpec, ResizeRule


@pytest.fixture
def spec() -> InputSpec:
    """A network of 16 × 12 pixels."""
    return InputSpec(12, 16, resize=ResizeRule("shorter", 1.0))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures of three classes: 6 cats, 3 dogs and 1 fox, each of another gray."""
    root = tmp_path / "pictures"
    number = 0
    for name, count in (("cat", 6), ("dog", 3), ("fox", 1)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            number += 1
            Image.new("RGB", (20, 20), (number, number, number)).save(root / name / f"{index}.png")
    return root


@pytest.fixture
def pixels():
    """uint8 ``[9, 12, 16, 3]``."""
    return np.random.default_rng(0).integers(0, 256, (9, 12, 16, 3), np.uint8)
