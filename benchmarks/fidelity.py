"""How much of the source's answers int8 keeps, by format and range-finding method.

Cross-fitted: ranges are found on one half of the pictures and judged on the other, and the other
way round. Of each picture judged there are five crops, the center and the corners, or only the
center (`--crops 1`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeferry.app.accuracy import Tally
from edgeferry.calibration.ranges import METHODS
from edgeferry.calibration.store import write_calibration
from edgeferry.contract import Contract
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker
from edgeferry.exporters.recipes import FP32, Recipe, recipes_for
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.pictures import LabeledPicture, labeled_pictures
from edgeferry.runtimes.predictor import Predictor, load

FORMATS = ("tflite", "onnx", "openvino")


def main() -> None:
    """Print a Markdown table, a row for each format and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="one sub-folder per class")
    parser.add_argument("--preprocessing", required=True)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--equalize", action="store_true", help="also with equalized channels")
    parser.add_argument("--crops", type=int, choices=(1, 5), default=5, help="of each picture")
    parser.add_argument("--count", type=int, default=100, help="calibration pictures")
    options = parser.parse_args()
    print("| format | method | top-1 drop | agreement [95 %] | KL | SQNR dB | pictures |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(options, Path(folder))
        for model_format in options.formats:
            measure(model_format, options, prepared, Path(folder))


def prepare(options: argparse.Namespace, folder: Path) -> PreparedSource:
    """Fold the contract into the model."""
    told = {"preprocessing": options.preprocessing, "head": None, "labels": None, "size": None}
    job = {"kind": "prepare", "source": str(options.model), "folder": str(folder)}
    with Worker("source") as worker:
        worker.ask({**job, "options": {**told, "batch": 1, "resize": {}}})
    return PreparedSource.load(folder / "prepared.json")


def measure(
    model_format: str, options: argparse.Namespace, prepared: PreparedSource, folder: Path
) -> None:
    """Export by every method from either half, judge on the other, and print the rows."""
    contract = prepared.contract
    pictures = labeled_pictures(options.images, contract.labels, contract.classes)
    recipes = list(recipes_of(model_format, options, prepared.best_method))
    tallies = {name: (Tally(contract.head), Tally(contract.head)) for name, _ in recipes}
    for half in (0, 1):
        files = export(model_format, recipes, pictures[half::2], options.count, prepared, folder)
        judged = pictures[1 - half :: 2]
        with load(files.pop("fp32")) as reference:
            expected = answers(reference, judged, options.crops)
        for name, path in files.items():
            with load(path) as predictor:
                found = answers(predictor, judged, options.crops)
            truth = [each.index for each in judged for _ in range(options.crops)]
            tallies[name][0].add(found, truth, expected)
            tallies[name][1].add(expected, truth, None)
    for name, (own, float32) in tallies.items():
        print(row(model_format, name, own, float32), flush=True)


def recipes_of(
    model_format: str, options: argparse.Namespace, best: str
) -> Iterator[tuple[str, Recipe]]:
    """The recipes to compare, with a name each."""
    (recipe,) = recipes_for(model_format, ("int8",), ("x86",))
    for method in options.methods:
        mark = " (default)" if method == best else ""
        yield f"{method}{mark}", replace(recipe, method=method)
        if options.equalize:
            yield f"{method}, equalized", replace(recipe, method=method, equalize=True)


def export(
    model_format: str,
    recipes: Sequence[tuple[str, Recipe]],
    pictures: Sequence[LabeledPicture],
    count: int,
    prepared: PreparedSource,
    folder: Path,
) -> dict[str, Path]:
    """Write the fp32 artifact and one by each recipe; give them by name."""
    listed = folder / "calibration.csv"
    listed.write_text("\n".join(f"{each.path.absolute()},{each.index}" for each in pictures))
    stored = write_calibration(listed, prepared.contract.input, count, 0, folder / "x.npy")
    calibration = {"path": str(stored.path), "sha256": stored.sha256}
    told = {"kind": "open", "format": model_format, "prepared": str(folder / "prepared.json")}
    told["threads"] = None
    files = {}
    with Worker(model_format) as worker:
        worker.ask({**told, "calibration": calibration})
        for number, (name, recipe) in enumerate([("fp32", FP32), *recipes]):
            suffix = EXPORTERS.load(model_format).suffixes[0]
            files[name] = folder / f"{model_format}{number}{suffix}"
            job = {"kind": "make", "recipe": asdict(recipe), "destination": str(files[name])}
            worker.ask(job)
    return files


def answers(
    predictor: Predictor, pictures: Sequence[LabeledPicture], count: int
) -> NDArray[np.float32]:
    """Probabilities, float32 ``[count * pictures, classes]``."""
    contract = predictor.contract
    crops = (crop for each in pictures for crop in five_crops(each.path, contract)[:count])
    return np.stack([predictor.predict_proba(crop) for crop in crops])


def five_crops(path: Path, contract: Contract) -> list[NDArray[np.uint8]]:
    """The center and the four corners of a picture brought near to the network's size."""
    spec = contract.input
    with Image.open(path) as opened:
        picture = opened.convert("RGB" if spec.channels == 3 else "L")
    ratio = max(spec.width / picture.width, spec.height / picture.height)
    scale = ratio / spec.resize.crop_ratio
    size = [
        max(round(side * scale), own)
        for side, own in ((picture.width, spec.width), (picture.height, spec.height))
    ]
    pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    pixels = pixels.reshape(*pixels.shape[:2], spec.channels)
    rows, columns = (free for free in (size[1] - spec.height, size[0] - spec.width))
    starts = ((rows // 2, columns // 2), (0, 0), (0, columns), (rows, 0), (rows, columns))
    return [
        np.ascontiguousarray(pixels[top : top + spec.height, left : left + spec.width])
        for top, left in starts
    ]


def row(model_format: str, name: str, own: Tally, float32: Tally) -> str:
    """One row of the table."""
    measured, interval = own.measures(), own.intervals()
    drop = float32.measures()["top1"] - measured["top1"]
    agreement = (
        f"{measured['agreement']:.2f} "
        f"[{interval['agreement_low']:.2f}, {interval['agreement_high']:.2f}]"
    )
    figures = f"{measured['kl']:.4f} | {measured['sqnr_db']:.1f} | {measured['images']}"
    return f"| {model_format} | {name} | {drop:+.2f} | {agreement} | {figures} |"


if __name__ == "__main__":
    main()
