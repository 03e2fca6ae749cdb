"""The JSON of an export."""

from typing import Any

from edgeferry.app.control_data import control_data
from edgeferry.app.export import ExportedArtifact, ExportReport
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import artifact_files


def export_results(report: ExportReport) -> list[Result]:
    """One result per artifact that was written."""
    return [_result(artifact) for artifact in report.artifacts]


def export_document(report: ExportReport) -> dict[str, Any]:
    """What ``edgeferry export --json`` writes."""
    notes = {
        "failures": report.failures,
        "warnings": list(report.warnings),
        "source_top1": report.source_top1,
        "movement": dict(report.movement),
        "control": control_data(report.controlled),
    }
    return results_document("export", export_results(report), notes)


def _result(artifact: ExportedArtifact) -> Result:
    return Result(
        artifact=artifact.path.name,
        format=artifact.format,
        precision=artifact.precision,
        size_bytes=sum(file.stat().st_size for file in artifact_files(artifact.path)),
        extra={"seconds": artifact.seconds},
    )
