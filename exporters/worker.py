"""The process that does one heavy job; see ``edgeferry.exporters.processes`` for how it talks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeferry.calibration.ranges import AUTO
from edgeferry.contract import CalibrationInfo, ResizeRule
from edgeferry.errors import described_error
from edgeferry.progress import Progress
from edgeferry.streams import private_stdout


def prepare(job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Fold the contract into the source model."""
    from edgeferry.exporters.preparation import PreparationOptions, prepare_source

    told = job["options"]
    options = PreparationOptions(
        preprocessing=told["preprocessing"],
        head=told["head"],
        labels=told["labels"] and Path(told["labels"]),
        size=told["size"] and tuple(told["size"]),
        batch=told["batch"],
        resize=ResizeRule(**told["resize"]),
    )
    progress("reading the source model", 0, 1)
    prepare_source(job["source"], options, Path(job["folder"]))
    progress("reading the source model", 1, 1)
    return {}


def export(job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Write all artifacts of one format; what fails does not stop the others."""
    from edgeferry.calibration.store import StoredPictures
    from edgeferry.exporters.base import Calibration, Exporter, PreparedSource
    from edgeferry.exporters.recipes import Recipe
    from edgeferry.exporters.registry import EXPORTERS

    source = PreparedSource.load(Path(job["prepared"]))
    exporter: Exporter[Any] = EXPORTERS.load(job["format"])(source, progress)
    calibration = job["calibration"] and Calibration(
        StoredPictures(Path(job["calibration"]["path"])),
        _calibration_info(job["calibration"]["info"], exporter.best_method),
        batch=source.contract.input.batch or 1,
    )
    shared = exporter.prepare()
    seconds, failures = {}, {}
    for number, recipe in enumerate(Recipe(**data) for data in job["recipes"]):
        progress(recipe.file_tag, number, len(job["recipes"]))
        started = time.perf_counter()
        name = f"{source.contract.source.name}.{recipe.file_tag}{exporter.suffixes[0]}"
        destination = Path(job["folder"]) / name
        try:
            exporter.export(shared, recipe, calibration, destination)
            seconds[name] = time.perf_counter() - started
        except Exception as error:
            failures[name] = described_error(error, name)
            for suffix in exporter.suffixes:
                destination.with_suffix(suffix).unlink(missing_ok=True)
    progress("done", len(job["recipes"]), len(job["recipes"]))
    return {"seconds": seconds, "failures": failures}


def _calibration_info(told: Mapping[str, Any], best_method: str) -> CalibrationInfo:
    info = CalibrationInfo(**told)
    return replace(info, method=best_method) if info.method == AUTO else info


JOBS: dict[str, Callable[[Mapping[str, Any], Progress], dict[str, Any]]] = {
    "prepare": prepare,
    "export": export,
}


def main() -> None:
    """Do the job that standard input holds."""
    answers = private_stdout()

    def answer(kind: str, content: object) -> None:
        answers.write(json.dumps({kind: content}) + "\n")

    job = json.load(sys.stdin)
    try:
        result = JOBS[job["kind"]](
            job, lambda step, done, total: answer("progress", [step, done, total])
        )
    except Exception as error:
        answer("error", described_error(error, job["kind"]))
    else:
        answer("result", result)


if __name__ == "__main__":
    main()
