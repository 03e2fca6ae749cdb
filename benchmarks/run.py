"""edgeferry beside the bare engines and the vendors' own ways, in one interleaved run.

Prints a Markdown table and writes JSON. Without ``--model`` an untrained ResNet50 and drawn
pictures are used: speed is the same. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import latency
import light
import whole_runs
from rows import Row, table, write
from setting import Setting, synthetic

from edgeferry.pictures import find_pictures

PARTS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "export": whole_runs.export,
    "overhead": latency.overhead,
    "picture": latency.picture_to_label,
    "artifacts": latency.artifacts,
    "cold-start": whole_runs.cold_start,
    "throughput": whole_runs.throughput,
    "light": light.installed_size,
}


def main() -> None:
    """Run all parts, or some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a Keras classifier of 224-pixel pictures")
    parser.add_argument("--images", type=Path, help="its calibration pictures")
    parser.add_argument("--preprocessing", default="caffe", choices=("caffe", "tf", "none"))
    parser.add_argument("--count", type=int, default=100, help="calibration pictures")
    parser.add_argument("--folder", type=Path, help="keep what is exported here for the next run")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        setting = made(options, folder)
        rows = []
        for name in options.parts:
            rows += list(PARTS[name](setting))
            print(f"{name}: done", flush=True)
        print(table(rows))
        write(rows, options.json)


def made(options: argparse.Namespace, folder: Path) -> Setting:
    """Export whatever the folder does not hold."""
    if options.model is None:
        model, pictures = synthetic(folder, options.count)
    else:
        found = find_pictures(options.images)
        step = max(1, len(found) // options.count)
        pictures = [each.path for each in found[::step]][: options.count]
        model = options.model
    setting = Setting(folder, model, options.preprocessing, pictures)
    setting.export_ours()
    setting.export_theirs()
    return setting


if __name__ == "__main__":
    main()
