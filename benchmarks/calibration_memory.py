"""What calibration takes for 32, 128 and 512 pictures in each format: memory, and time.

Each figure comes from a fresh process that finds the ranges of all activations the way ``export``
does: its peak since the first picture, minus what it held right before it (Linux only), and the
time since the first picture for each of them.
"""

import argparse
import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.ranges import METHODS
from edgeferry.calibration.store import StoredPictures, write_calibration
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker
from edgeferry.exporters.recipes import INT8
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.exporters.statistics import Calibration

FORMATS = ("tflite", "onnx", "openvino")
COUNTS = (32, 128, 512)


class WatchedPictures(StoredPictures):
    """Calibration pictures that note what the process holds before it is given the first."""

    before = 0.0
    started = 0.0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Each picture, uint8 ``[1, height, width, channels]``."""
        # What the conversion has freed goes back first, lest calibration hide in it.
        ctypes.CDLL(None).malloc_trim(0)
        self.before = memory_mb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
        self.started = time.perf_counter()
        yield from super().__iter__()

    def taken(self) -> str:
        """The peak since then, above that, in MB; and milliseconds for each picture."""
        milliseconds = 1000 * (time.perf_counter() - self.started) / len(self)
        return f"{memory_mb('VmHWM') - self.before} {milliseconds}"


def memory_mb(field: str) -> float:
    """A line of this process's ``status``, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def calibrate(model_format: str, method: str, folder: Path, pictures: Path) -> str:
    """Find ranges in this process; tell what that took."""
    watched = WatchedPictures(pictures)
    exporter = EXPORTERS.load(model_format)(PreparedSource.load(folder / "prepared.json"))
    calibration = Calibration(watched, sha256="0" * 64)
    exporter.ranges(exporter.prepare(), replace(INT8, method=method), calibration)
    return watched.taken()


def main() -> None:
    """Print a table; each cell is measured in a process of its own."""
    parser = arguments(__doc__)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument(
        "--method", nargs="+", default=("percentile", "entropy"), choices=tuple(METHODS)
    )
    options = parser.parse_args()
    if options.cell:
        model_format, method, folder, pictures = options.cell
        print(calibrate(model_format, method, Path(folder), Path(pictures)))
        return
    with tempfile.TemporaryDirectory() as folder:
        stores = prepare(options, Path(folder), COUNTS)
        heads = "".join(f" {count} |" for count in COUNTS)
        print(f"| pictures | |{heads} {COUNTS[-1]} over {COUNTS[0]} |")
        print("|---|---|" + "---|" * (len(COUNTS) + 1))
        for model_format in options.formats:
            for method in options.method:
                cells = [(model_format, method, folder, str(stores[count])) for count in COUNTS]
                found = [in_process(__file__, cell) for cell in cells]
                for unit, row in zip(("MB", "ms a picture"), zip(*found, strict=True), strict=True):
                    shown = "".join(f" {value:.0f} |" for value in row)
                    ratio = f" {row[-1] / row[0]:.2f} |"
                    print(f"| {model_format}, {method} | {unit} |{shown}{ratio}", flush=True)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that benchmarks of calibration have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, help="default: a ResNet50 of random weights")
    parser.add_argument("--images", type=Path, help="folder; default: random pictures")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--cell", nargs="+", help=argparse.SUPPRESS)
    return parser


def prepare(options: argparse.Namespace, folder: Path, counts: tuple[int, ...]) -> dict[int, Path]:
    """Fold the contract into the model once, and store the pictures for every count."""
    told = {
        "preprocessing": options.preprocessing,
        "head": None,
        "labels": None,
        "size": None,
        "batch": 1,
        "resize": {},
    }
    source = str(options.model or _random_resnet50(folder))
    with Worker("preparing") as worker:
        worker.ask({"kind": "prepare", "source": source, "folder": str(folder), "options": told})
    spec = PreparedSource.load(folder / "prepared.json").contract.input
    images = options.images or folder / "random.npy"
    if options.images is None:
        pixels = np.random.default_rng(0).integers(0, 256, (64, *spec.shape[1:]), np.uint8)
        np.save(images, pixels)
    taken = folder / "taken.npy"
    write_calibration(images, spec, max(counts), 0, taken)
    pictures = np.load(taken, mmap_mode="r")
    stores = {count: folder / f"{count}.npy" for count in counts}
    for count, path in stores.items():
        np.save(path, pictures[np.arange(count) % len(pictures)])
    return stores


def in_process(script: str, cell: tuple[str, ...]) -> tuple[float, float]:
    """What a script tells of one cell, in a process of its own: MB, and ms for each picture."""
    command = [sys.executable, script, "--cell", *cell]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(cell[:2])} failed:\n{done.stderr}")
    memory, milliseconds = map(float, done.stdout.splitlines()[-1].split())
    return memory, milliseconds


def _random_resnet50(folder: Path) -> Path:
    path = folder / "resnet50.keras"
    code = "import keras, sys; keras.applications.ResNet50(weights=None).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
    return path


if __name__ == "__main__":
    main()
