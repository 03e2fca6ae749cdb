"""What the comparison runs on: a network, pictures, our artifacts and the vendors'."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = {"openvino": "xml", "onnx": "onnx", "tflite": "tflite"}
SIDE = 224
_HERE = Path(__file__).parent


@dataclass
class Setting:
    """The files of one comparison.

    Attributes:
        folder: For everything that is made; kept between runs if the user names it.
        model: The Keras network, for 224-pixel pictures.
        preprocessing: What it expects: ``caffe``, ``tf`` or ``none``.
        pictures: Calibration pictures.
        export_seconds: How long exports took, by who made them; only those made in this run.
    """

    folder: Path
    model: Path
    preprocessing: str
    pictures: Sequence[Path]
    export_seconds: dict[str, float] = field(default_factory=dict)

    def ours(self, model_format: str, precision: str = "int8") -> str:
        """One of our artifacts."""
        return str(self.folder / "ours" / f"{self.model.stem}.{precision}.{SUFFIXES[model_format]}")

    def theirs(self, model_format: str, name: str = "int8") -> str:
        """One of the vendors'."""
        return str(self.folder / "theirs" / f"{name}.{SUFFIXES[model_format]}")

    def picture(self, width: int, height: int) -> str:
        """One of the pictures as a JPEG file of some size."""
        path = self.folder / f"{width}x{height}.jpg"
        if not path.exists():
            with Image.open(self.pictures[0]) as picture:
                scaled = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
            scaled.save(path, quality=90)
        return str(path)

    def export_ours(self) -> None:
        """All nine artifacts by ``edgeferry export``."""
        output = self.folder / "ours"
        if output.exists():
            return
        listed = self.folder / "calibration.csv"
        listed.write_text("\n".join(str(each.absolute()) for each in self.pictures))
        command = [str(Path(sys.executable).with_name("edgeferry")), "export", str(self.model)]
        told = ["-o", str(output), "--preprocessing", self.preprocessing, "--calibration"]
        self.export_seconds["ours"] = _timed([*command, *told, str(listed)])

    def export_theirs(self) -> None:
        """The same by the vendors' scripts, one after another."""
        output = self.folder / "theirs"
        if output.exists():
            return
        output.mkdir()
        job = {
            "model": str(self.model.absolute()),
            "pictures": [str(each.absolute()) for each in self.pictures],
            "side": SIDE,
            "preprocessing": self.preprocessing,
            "folder": str(output.absolute()),
        }
        (output / "job.json").write_text(json.dumps(job))
        for model_format in SUFFIXES:
            script = [sys.executable, str(_HERE / "vendors.py"), model_format]
            self.export_seconds[model_format] = _timed([*script, str(output / "job.json")])


def synthetic(folder: Path, count: int = 100) -> tuple[Path, list[Path]]:
    """An untrained ResNet50 and pictures of soft shapes, where no real ones are at hand."""
    model, pictures = folder / "resnet50.keras", folder / "pictures"
    if not model.exists():
        import keras

        keras.applications.ResNet50(weights=None).save(model)
    pictures.mkdir(exist_ok=True)
    paths = [pictures / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        small = Image.fromarray(pixels)
        small.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    return model, paths


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started
