"""Every network of the list through every source, format and precision: docs/networks.md.

Trains each network (examples/train.py) unless the folder holds it, exports it from its Keras file
and from the ONNX file that Keras writes, judges the artifacts on held-out pictures, and then times
them in one process each, in interleaved rounds: the machine should be quiet. What fails is a cell
that says why.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.export import ExportOptions, export
from edgeferry.artifact import Artifact, find_artifacts
from edgeferry.contract import ResizeRule
from edgeferry.devices.machine import machine_facts
from edgeferry.errors import EdgeferryError
from edgeferry.files import atomic_write_text
from edgeferry.images import to_input
from edgeferry.pictures import find_pictures
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.predictor import load
from edgeferry.trained_model import load_trained_model

NETWORKS = (
    "resnet50",
    "vgg16",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "alexnet",
    "densenet121",
    "googlenet",
    "resnet18",
    "efficientnet_b0",
    "yolov3",
    "unet",
)
SOURCES = {"keras": ".keras", "onnx": ".onnx"}
PARITY_PICTURES = 32
TRUTH = {"segmentation": "masks", "detection": "boxes.json"}
QUALITY = {"classification": "top1", "segmentation": "mean_iou", "detection": "map50"}
CAUSES = {
    ("efficientnet_b0", "onnx"): "Keras 3.15's ONNX export leaves the constants of its "
    "Normalization as inputs of the graph"
}
"""Why a source fails, where that lies further up."""
_TRAIN = Path(__file__).parents[1] / "examples" / "train.py"


@dataclass(frozen=True)
class Cell:
    """One artifact, or why there is none.

    Attributes:
        network: Its name.
        source: ``keras`` or ``onnx``.
        format: Of the artifact.
        precision: Of the artifact.
        failure: Why there is no artifact; empty where there is one.
        difference: Largest difference of an output from the source's; float precisions only.
        agreement: Percent of answers (of pixels) as the source's.
        quality: Percent top-1, mean IoU or mAP@0.5.
        source_quality: The same of the source.
        size_bytes: Of the file.
        artifact: Name of the file.
    """

    network: str
    source: str
    format: str
    precision: str
    failure: str = ""
    difference: float | None = None
    agreement: float | None = None
    quality: float | None = None
    source_quality: float | None = None
    size_bytes: int | None = None
    artifact: str = ""


def main() -> None:
    """Fill the table, or what of it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="trained networks and results")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--seconds", type=float, default=1.0, help="of timing each artifact")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/networks.md"))
    told = parser.parse_args()
    for network in told.networks:
        folder = told.folder / network
        _trained(network, folder)
        for source in told.sources:
            kept = folder / f"cells-{source}.json"
            if not kept.is_file():
                cells = [vars(each) for each in cells_of(network, source, folder)]
                atomic_write_text(kept, json.dumps(cells, indent=1) + "\n")
            print(f"{network} from {source}: judged", flush=True)
    for network in told.networks:  # the other source's artifacts are the same operations
        kept = told.folder / network / "latencies.json"
        if not kept.is_file():
            output = kept.with_name(f"artifacts-{told.sources[0]}")
            atomic_write_text(kept, json.dumps(latencies(output, told.seconds), indent=1) + "\n")
        print(f"{network}: timed", flush=True)
    atomic_write_text(told.output, document(told.folder, told.networks, told.sources))


def latencies(output: Path, seconds: float) -> dict[str, float | None]:
    """Median latency of each artifact in a folder, milliseconds, on one thread."""
    if not output.is_dir():
        return {}
    timed = benchmark([output], BenchmarkOptions(threads=1, duration=seconds)).results
    return {each.artifact: each.p50_ms for each in timed}


def cells_of(network: str, source: str, folder: Path) -> Iterator[Cell]:
    """Export one network from one source, and judge what comes of it."""
    settings = json.loads((folder / "training.json").read_text())
    trained, output = _source(network, source, folder), folder / f"artifacts-{source}"
    options = ExportOptions(
        calibration=folder / "calibration",
        labels=folder / "labels.txt",
        preprocessing=settings["preprocessing"],
        resize=ResizeRule("squash"),
        force=True,
    )
    try:
        report = export(trained, output, options)
    except EdgeferryError as error:
        yield Cell(network, source, "all", "all", failure=_without_path(error.problem, folder))
        return
    for name, why in report.failures.items():
        reason = _without_path(why.splitlines()[0], folder)
        yield Cell(network, source, name, "", failure=reason)
    artifacts = find_artifacts([output])
    judged = _judged(output, trained, folder, settings["task"])
    differences = dict(_differences(trained, artifacts, folder / "heldout" / "pictures"))
    measure = QUALITY[settings["task"]]
    for artifact in artifacts:
        figures = judged[artifact.path.name]
        yield Cell(
            network,
            source,
            artifact.format,
            str(artifact.precision),
            difference=differences.get(artifact.path.name),
            agreement=figures["agreement"],
            quality=figures[measure],
            source_quality=judged[trained.name][measure],
            size_bytes=artifact.size_bytes,
            artifact=artifact.path.name,
        )


def _without_path(text: str, folder: Path) -> str:
    return text.replace(f"{folder}/", "")


def _trained(network: str, folder: Path) -> None:
    if not (folder / "training.json").is_file():
        command = [sys.executable, str(_TRAIN), network, "-o", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _source(network: str, source: str, folder: Path) -> Path:
    """The network's file of a kind; the ONNX file is written by Keras itself."""
    path = folder / f"{network}{SOURCES[source]}"
    if not path.is_file():
        import keras

        model = keras.models.load_model(folder / f"{network}.keras", compile=False)
        model(np.zeros((1, *model.input_shape[1:]), np.float32))
        model.export(str(path), format="onnx", verbose=False)
    return path


def _judged(output: Path, trained: Path, folder: Path, task: str) -> dict[str, dict[str, Any]]:
    truth = folder / "heldout" / TRUTH[task] if task in TRUTH else None
    pictures = folder / "heldout" / "pictures"
    options = EvaluationOptions(pictures, reference=trained, truth=truth)
    results = evaluate([output], options).document()["results"]
    return {each["artifact"]: each for each in results}


def _differences(
    trained: Path, artifacts: Sequence[Artifact], pictures: Path
) -> Iterator[tuple[str, float]]:
    """Largest difference from the source's outputs, by artifact; probabilities and boxes alike."""
    source = load_trained_model(trained)
    for artifact in artifacts:
        if artifact.precision == "int8" or artifact.contract is None:
            continue
        found = find_pictures(pictures)
        files = found[:: len(found) // PARITY_PICTURES]
        images = np.stack([to_input(each.path, artifact.contract.input) for each in files])
        mode = artifact.contract.source.preprocessing
        wanted = [source.predict(preprocess(each[None], mode)) for each in images]
        with load(artifact.path, threads=1) as predictor:
            given = predictor.predict_outputs(images)
        worst = 0.0
        for index, (name, found) in enumerate(given.items()):
            own = name if name in wanted[0] else list(wanted[0])[index]
            true = np.concatenate([each[own] for each in wanted]).reshape(found.shape)
            error = np.abs(found - true) / np.maximum(np.abs(true), 1)
            worst = max(worst, float(error.max()))
        yield artifact.path.name, worst


def document(folder: Path, networks: Sequence[str], sources: Sequence[str]) -> str:
    """The page of all that was measured."""
    cells = [
        Cell(**each)
        for network in networks
        for source in sources
        for each in json.loads((folder / network / f"cells-{source}.json").read_text())
    ]
    times = {
        (network, sources[0]): json.loads((folder / network / "latencies.json").read_text())
        for network in networks
    }
    facts = machine_facts()
    failed = [each for each in cells if each.failure]
    lines = [
        "# Networks",
        "",
        "Made by `python benchmarks/networks.py --folder FOLDER`, which trains each network "
        "briefly (`examples/train.py`: classifiers on scikit-learn's digits, the others on drawn "
        "shapes), exports it from each source, judges it on held-out pictures (360 digits, 200 "
        f"shapes) and times it on one thread, {facts['processor']}.",
        "",
        "- *difference*: the largest of any output from the source's (relative above 1), over "
        f"{PARITY_PICTURES} pictures; probabilities, and for YOLOv3 shares of the picture.",
        "- *agree*: percent of answers, or of pixels, that are the source's.",
        "- *quality*: percent top-1, for U-Net mean IoU, for YOLOv3 mAP@0.5; in parentheses the "
        "points by which it differs from the source's.",
        f"- {len(cells) - len(failed)} artifacts, and {len(failed)} row(s) that say why there is "
        "none. Those of the second source are the same operations: they are not timed again.",
        "",
        "| network | source | format | precision | difference | agree | quality | MiB | p50 ms |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(vars(each), times.get((each.network, each.source), {})) for each in cells),
        "",
    ]
    return "\n".join(lines)


def _row(cell: Mapping[str, Any], times: Mapping[str, float | None]) -> str:
    first = [cell["network"], cell["source"], cell["format"], cell["precision"]]
    if cell["failure"]:
        cause = CAUSES.get((cell["network"], cell["source"]), "")
        why = "; ".join(filter(None, (cell["failure"], cause)))
        return f"| {' | '.join(first)} | fails: {why} | | | | |"
    quality, of_source = cell["quality"], cell["source_quality"]
    figures = [
        _text(cell["difference"], "{:.1e}"),
        _text(cell["agreement"], "{:.1f}"),
        "–" if quality is None else f"{quality:.1f} ({quality - of_source:+.2f})",
        _text(cell["size_bytes"] / 2**20, "{:.1f}"),
        _text(times.get(cell["artifact"]), "{:.2f}"),
    ]
    return f"| {' | '.join([*first, *figures])} |"


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


if __name__ == "__main__":
    main()
