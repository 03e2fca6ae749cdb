"""How much memory calibration takes, for 32, 128 and 512 pictures, in each format.

Each figure comes from a fresh process that writes one int8 artifact the way ``export`` does:
its peak while it reads the pictures, minus what it held right before the first (Linux only).
"""

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.store import StoredPictures, write_calibration
from edgeferry.contract import CalibrationInfo
from edgeferry.exporters.base import Calibration, PreparedSource
from edgeferry.exporters.processes import run_job
from edgeferry.exporters.recipes import recipes_for
from edgeferry.exporters.registry import EXPORTERS

FORMATS = ("tflite", "onnx", "openvino")
COUNTS = (32, 128, 512)


class WatchedPictures(StoredPictures):
    """Calibration pictures that note the memory of the process that streams them."""

    before = 0.0
    peak = 0.0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Each picture, uint8 ``[1, height, width, channels]``."""
        if not self.before:
            # What the conversion has freed goes back first, lest calibration hide in it.
            ctypes.CDLL(None).malloc_trim(0)
            self.before = memory_mb("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
        try:
            yield from super().__iter__()
        finally:
            self.peak = memory_mb("VmHWM")


def memory_mb(field: str) -> float:
    """A line of this process's ``status``, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def calibrate(model_format: str, folder: Path, pictures: Path) -> float:
    """Write an int8 artifact in this process; give what calibration added at its peak, MB."""
    watched = WatchedPictures(pictures)
    exporter = EXPORTERS.load(model_format)(PreparedSource.load(folder / "prepared.json"))
    info = CalibrationInfo(exporter.best_method, images=len(watched), sha256="0" * 64)
    (recipe,) = recipes_for(model_format, ("int8",), ("x86",))
    destination = folder / f"measured{exporter.suffixes[0]}"
    exporter.export(exporter.prepare(), recipe, Calibration(watched, info), destination)
    return watched.peak - watched.before


def main() -> None:
    """Print a table; each cell is measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="default: a ResNet50 of random weights")
    parser.add_argument("--images", type=Path, help="folder; default: random pictures")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        model_format, folder, pictures = options.cell
        print(calibrate(model_format, Path(folder), Path(pictures)))
        return
    with tempfile.TemporaryDirectory() as folder:
        stores = prepare(options, Path(folder))
        print(f"{'MB':10}" + "".join(f"{count:>10}" for count in COUNTS) + f"{'512/32':>10}")
        for model_format in options.formats:
            row = [_in_process(model_format, folder, stores[count]) for count in COUNTS]
            cells = "".join(f"{value:10.0f}" for value in row)
            print(f"{model_format:10}{cells}{row[-1] / row[0]:10.2f}", flush=True)


def prepare(options: argparse.Namespace, folder: Path) -> dict[int, Path]:
    """Fold the contract into the model once, and store the pictures for every count."""
    model = options.model or _random_resnet50(folder)
    told = {
        "preprocessing": options.preprocessing,
        "head": None,
        "labels": None,
        "size": None,
        "batch": 1,
        "resize": {},
    }
    run_job({"kind": "prepare", "source": str(model), "folder": str(folder), "options": told})
    spec = PreparedSource.load(folder / "prepared.json").contract.input
    source = options.images or folder / "random.npy"
    if options.images is None:
        pixels = np.random.default_rng(0).integers(0, 256, (64, *spec.shape[1:]), np.uint8)
        np.save(source, pixels)
    taken = folder / "taken.npy"
    write_calibration(source, spec, max(COUNTS), 0, taken)
    pictures = np.load(taken, mmap_mode="r")
    stores = {count: folder / f"{count}.npy" for count in COUNTS}
    for count, path in stores.items():
        np.save(path, pictures[np.arange(count) % len(pictures)])
    return stores


def _random_resnet50(folder: Path) -> Path:
    path = folder / "resnet50.keras"
    code = "import keras, sys; keras.applications.ResNet50(weights=None).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
    return path


def _in_process(model_format: str, folder: str, pictures: Path) -> float:
    command = [sys.executable, __file__, "--cell", model_format, folder, str(pictures)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model_format} failed:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
