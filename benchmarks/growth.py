"""How latency grows with the size of the picture, the batch, the threads and the classes.

An untrained ResNet50 in int8 is exported for each point and benchmarked in every format. Draws one
plot for each, with the work (multiply-accumulates) beside the time, and writes the figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.export import ExportOptions, export
from edgeferry.artifact import find_artifacts
from edgeferry.devices.machine import machine_facts
from edgeferry.exporters.artifact_network import artifact_network
from edgeferry.threads import physical_cores

SIZES = (96, 160, 224, 320, 448)
BATCHES = (1, 2, 4, 8, 16, 32)
CLASSES = (10, 100, 1000, 10_000)
CALIBRATION = 4
"""Pictures; they do not change what is measured."""


@dataclass(frozen=True)
class Point:
    """One network, and how it is run.

    Attributes:
        size: Height and width, pixels.
        batch: Pictures per inference.
        classes: Number of them.
        threads: For one inference.
    """

    size: int = 224
    batch: int = 1
    classes: int = 1000
    threads: int = 1


@dataclass(frozen=True)
class Measured:
    """One format at one point.

    Attributes:
        point: The point.
        engine: What ran it.
        p50_ms: Median latency of an inference.
        work: Multiply-accumulates of an inference.
    """

    point: Point
    engine: str
    p50_ms: float
    work: int


def axes() -> Mapping[str, Sequence[Point]]:
    """The points along each axis, by the name of what changes."""
    start = Point()
    return {
        "size": [replace(start, size=size) for size in SIZES],
        "batch": [replace(start, batch=batch) for batch in BATCHES],
        "threads": [replace(start, threads=count + 1) for count in range(physical_cores())],
        "classes": [replace(start, classes=classes) for classes in CLASSES],
    }


def main() -> None:
    """Measure, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, default=Path("growth.svg"))
    parser.add_argument("--json", type=Path, default=Path("growth.json"))
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring for each figure")
    options = parser.parse_args()
    known: dict[Point, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for points in axes().values():
            for point in points:
                if point not in known:
                    known[point] = list(measured(point, Path(folder), options.seconds))
                    print(point, *(f"{each.engine} {each.p50_ms:.2f}" for each in known[point]))
    draw(known, options.picture)
    figures = [asdict(each) for found in known.values() for each in found]
    options.json.write_text(json.dumps({"machine": machine_facts(), "figures": figures}, indent=1))


def measured(point: Point, folder: Path, seconds: float) -> Iterator[Measured]:
    """Benchmark the network of a point in every format."""
    artifacts = folder / f"{point.size}-{point.batch}-{point.classes}"
    if not artifacts.exists():
        make(point, artifacts)
    report = benchmark([artifacts], BenchmarkOptions(threads=point.threads, duration=seconds))
    paths = {each.path.name: each for each in find_artifacts([artifacts])}
    for result in report.results:
        artifact = paths[result.artifact]
        layers = artifact_network(artifact.path, artifact.format).layers()
        work = sum(layer.multiply_accumulates or 0 for layer in layers)
        assert result.p50_ms is not None
        yield Measured(point, result.runtime or "", result.p50_ms, work)


def make(point: Point, output: Path) -> None:
    """Export the int8 artifacts of a point."""
    import keras

    shape = (point.size, point.size, 3)
    model = keras.applications.ResNet50(weights=None, input_shape=shape, classes=point.classes)
    pictures = output.with_suffix(".npy")
    noise = np.random.default_rng(0).integers(
        0, 256, (max(CALIBRATION, point.batch), *shape), np.uint8
    )
    np.save(pictures, noise)
    told = ExportOptions(
        calibration=pictures, preprocessing="caffe", precisions=("int8",), batch=point.batch
    )
    export(model, output, told)


def draw(known: Mapping[Point, Sequence[Measured]], path: Path) -> None:
    """A plot for each axis: milliseconds, and dashed what the work alone would take."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, plots = pyplot.subplots(2, 2, figsize=(9, 7), constrained_layout=True)
    for (name, points), plot in zip(axes().items(), plots.flat, strict=True):
        for number, engine in enumerate(dict.fromkeys(each.engine for each in known[points[0]])):
            line = [next(m for m in known[point] if m.engine == engine) for point in points]
            places = [getattr(each.point, name) for each in line]
            plot.plot(
                places, [each.p50_ms for each in line], "o-", color=f"C{number}", label=engine
            )
            start = line[0]
            shares = [m.work / start.work * start.point.threads / m.point.threads for m in line]
            ideal = [start.p50_ms * share for share in shares]
            plot.plot(places, ideal, "--", color=f"C{number}", linewidth=0.8)
        plot.set_xlabel({"size": "height and width, pixels"}.get(name, name))
        plot.set_ylabel("ms")
        places = [getattr(each, name) for each in points]
        if name in ("size", "batch"):
            plot.set_yscale("log")
        else:
            plot.set_ylim(bottom=0)
        plot.set_xscale("log")
        plot.set_xticks(places, [f"{place:,}" for place in places])
        plot.minorticks_off()
    plots.flat[0].legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
