"""Results files of every shape, through all that reads them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from edgeferry.app import benchmark as module
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.benchmark_tables import benchmark_report
from edgeferry.app.compare import Limits, compare
from edgeferry.app.compare_tables import comparison_tables
from edgeferry.app.console import show
from edgeferry.app.journal import read_earlier, result_from
from edgeferry.app.known_accuracy import read_accuracies
from edgeferry.app.layer_amounts import read_layer_amounts
from edgeferry.app.report.documents import read_documents
from edgeferry.app.report.writing import write_report
from edgeferry.app.results import results_document, write_document
from edgeferry.app.results_check import read_results
from edgeferry.app.verdict import Budget, judge
from edgeferry.artifact import artifact_digests, open_artifact
from fuzz.scripted import ScriptedDevice
from fuzz.shapes import broken_json
from fuzz.target import Target

_SAMPLES = Path(__file__).parent / "samples"
_NAMES = ("benchmark", "evaluate", "debug", "export")


class Results(Target):
    """``report``, ``compare``, ``--accuracy``, ``--amounts`` and ``--resume``."""

    full: ClassVar[int] = 2000
    quick: ClassVar[int] = 80
    memory_mb: ClassVar[int] = 256

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        self._artifacts = [artifacts / f"digits.{each}.tflite" for each in ("fp32", "int8")]
        for name in _NAMES:
            data = json.loads((_SAMPLES / f"{name}.json").read_text())
            for result in data["results"]:
                path = artifacts / result["artifact"]
                result |= artifact_digests(path) if path.exists() else {}
            (scratch / f"{name}.json").write_text(json.dumps(data))

    def make(self, random: Random, folder: Path) -> str:
        name, reading = random.choice(
            [(name, reading) for reading, names in _READ_BY.items() for name in names]
        )
        whole = (self.scratch / f"{name}.json").read_bytes()
        (folder / f"{name}.{reading}").write_bytes(broken_json(whole, random))
        return f"{name}, {reading}"

    def run(self, folder: Path) -> None:
        (path,) = folder.iterdir()
        readings: dict[str, Callable[[Path], None]] = {
            "report": self._report,
            "compare": self._compare,
            "accuracy": self._accuracy,
            "amounts": self._amounts,
            "resume": self._resume,
        }
        readings[path.suffix[1:]](path)

    def _whole(self, name: str) -> Path:
        return self.scratch / f"{name}.json"

    def _written(self, document: dict[str, Any], folder: Path) -> None:
        write_document(document, str(folder / "written.json"))
        read_results(folder / "written.json")

    def _report(self, path: Path) -> None:
        others = [self._whole(each) for each in _NAMES if each != path.stem]
        outputs = [path.with_suffix(f".{kind}") for kind in ("md", "csv", "html")]
        written = write_report(read_documents([path, *others]), outputs, None, None)
        show(*written.verdicts)
        self._written(results_document("report", written.results, {}), path.parent)

    def _compare(self, path: Path) -> None:
        whole = self._whole(path.stem)
        pair = (path, whole) if path.stat().st_size % 2 else (whole, path)
        found = compare(*pair, Limits(10, 1))
        show(*comparison_tables(found), *found.warnings, *found.failures().values())
        self._written(found.document(), path.parent)

    def _accuracy(self, path: Path) -> None:
        table = read_accuracies(path)
        measured = json.loads(self._whole("benchmark").read_text())
        results = [result_from(each) for each in measured["results"]]
        show(judge("pi", results, {}, Budget(accuracy_drop=1), table).sentence)

    def _amounts(self, path: Path) -> None:
        amounts = read_layer_amounts(path, open_artifact(self._artifacts[1]))
        show(amounts.title, *(f"{name}: {each:.3g}" for name, each in amounts.of_layer.items()))

    def _resume(self, path: Path) -> None:
        options = BenchmarkOptions(threads=1, duration=0.3, profile=True, devices=("local",))
        earlier = read_earlier(path, options.asked())
        device = ScriptedDevice(path.parent / "pi", {})
        setattr(module, "_settings", lambda options: [device.settings])  # noqa: B010
        setattr(module, "open_device", lambda settings: device)  # noqa: B010
        report = module.benchmark(self._artifacts, options, earlier=earlier)
        show(*benchmark_report(report))
        self._written(report.document(), path.parent)


_READ_BY = {
    "report": _NAMES,
    "compare": ("benchmark", "evaluate"),
    "accuracy": ("evaluate",),
    "amounts": ("debug", "benchmark"),
    "resume": ("benchmark",),
}
