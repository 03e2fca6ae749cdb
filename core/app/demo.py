"""The demo: a real ResNet50, trained, exported, evaluated and benchmarked in one go."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.digits import HELD_OUT, LABELS, write_digits
from edgeferry.app.results import Result, completed, results_document, write_document
from edgeferry.app.training import Training, is_trained, train
from edgeferry.errors import MissingDependencyError, OutputError
from edgeferry.progress import Progress, silent
from edgeferry.registry import is_installed, missing_dependency

EXPECTED_TOP1 = 97.0
"""Percent of the held-out digits that the trained network gets right at least."""
FULL_TRAINING = Training()


@dataclass(frozen=True)
class DemoReport:
    """What the demo found.

    Attributes:
        results: One per artifact, accuracy and latency together; the source first.
        failures: What failed, by name.
        warnings: What the user should know.
        verdicts: What to ship, in plain words.
    """

    results: list[Result]
    failures: Mapping[str, str]
    warnings: list[str]
    verdicts: list[str]

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        notes = {
            "failures": dict(self.failures),
            "warnings": self.warnings,
            "verdicts": self.verdicts,
        }
        return results_document("demo", self.results, notes)


def run_demo(
    folder: Path,
    progress: Progress = silent,
    training: Training = FULL_TRAINING,
    seconds: float = 3,
) -> DemoReport:
    """Train, export, evaluate and benchmark; everything is left in one folder.

    Args:
        folder: Created if missing. A network trained there before is used again.
        progress: Told how far it is.
        training: How to train.
        seconds: Duration of the measurement of each artifact.

    Raises:
        MissingDependencyError: If scikit-learn or TensorFlow is not installed.
        OutputError: If the folder cannot be written.
    """
    from edgeferry.app.benchmark import benchmark
    from edgeferry.app.benchmark_options import BenchmarkOptions
    from edgeferry.app.evaluation import EvaluationOptions, evaluate

    model = prepare(folder, training, progress)
    artifacts = folder / "artifacts"
    exported = _export(model, folder, artifacts, progress)
    held_out = EvaluationOptions(folder / "digits" / "heldout", reference=model)
    accuracy = evaluate([artifacts], held_out, progress)
    _keep(accuracy.document(), folder / "evaluate.json")
    options = BenchmarkOptions(duration=seconds, accuracy=folder / "evaluate.json")
    latency = benchmark([artifacts], options, progress)
    _keep(latency.document(), folder / "benchmark.json")
    report = DemoReport(
        merged(accuracy.results, latency.results),
        {**exported.failures, **accuracy.failures, **latency.failures},
        [*exported.warnings, *accuracy.warnings, *latency.warnings, *_doubts(accuracy.results)],
        [verdict.sentence for verdict in latency.verdicts],
    )
    _keep(report.document(), folder / "demo.json")
    _write_page(folder)
    return report


def prepare(folder: Path, training: Training, progress: Progress) -> Path:
    """Write the digits and train the network, unless an earlier run has done so.

    Returns:
        The ``.keras`` file.
    """
    for module, package in (("sklearn", "scikit-learn"), ("tensorflow", "tensorflow")):
        if not is_installed(module):
            raise missing_dependency("the demo", (package,), "demo")
    from edgeferry.app.child import run_in_child

    model = folder / "resnet50_digits.keras"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_digits(folder / "digits")
        (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    if not is_trained(model, training):
        pictures = folder / "digits" / "calibration"
        run_in_child(train, (pictures, model, training), progress, "training")
    return model


def merged(first: Iterable[Result], second: Iterable[Result]) -> list[Result]:
    """Results of two commands, one per artifact: what one did not measure the other fills in."""
    later = {result.artifact: result for result in second}
    return [completed(result, later.get(result.artifact)) for result in first]


def _export(model: Path, folder: Path, output: Path, progress: Progress) -> Any:
    from edgeferry.app.export import ExportOptions, export
    from edgeferry.app.summaries import export_document
    from edgeferry.contract import ResizeRule

    options = ExportOptions(
        calibration=folder / "digits" / "calibration",
        labels=folder / "labels.txt",
        preprocessing="tf",
        resize=ResizeRule("squash"),
        force=True,
    )
    report = export(model, output, options, progress)
    _keep(export_document(report), folder / "export.json")
    return report


def _keep(document: Mapping[str, Any], path: Path) -> None:
    write_document(document, str(path))


def _write_page(folder: Path) -> None:
    """Write ``report.html``, where the packages for it are installed."""
    from edgeferry.app.report.documents import read_documents
    from edgeferry.app.report.writing import write_report

    runs = [folder / f"{name}.json" for name in ("benchmark", "evaluate", "export")]
    with suppress(MissingDependencyError):
        write_report(read_documents(runs), [folder / "report.html"], None, None)


def _doubts(results: Iterable[Result]) -> list[str]:
    source = next((result for result in results if result.format == "keras"), None)
    if source is None or source.top1 is None or source.top1 >= EXPECTED_TOP1:
        return []
    held_out = f"{HELD_OUT} held-out digits"
    return [f"the trained network gets {source.top1:.1f} % of {held_out}, not {EXPECTED_TOP1:g}"]
