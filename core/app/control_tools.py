"""What accuracy control works with: judging on the validation pictures, ranking layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeferry.app.accuracy_control import ControlTools
from edgeferry.app.crew import Crew
from edgeferry.app.judge import EvaluationOptions, Judge
from edgeferry.app.results import Result
from edgeferry.app.subjects import artifact_subject
from edgeferry.artifact import open_artifact
from edgeferry.calibration.store import CalibrationSet
from edgeferry.exporters.recipes import Recipe
from edgeferry.exporters.statistics import batches_of
from edgeferry.progress import Progress


def control_tools(
    images: Path,
    sample: CalibrationSet,
    reference: Path,
    make: Callable[[Recipe, Path], float],
    folder: Path,
    progress: Progress,
    crew: Crew,
) -> ControlTools:
    """The tools for one artifact.

    Args:
        images: The validation pictures; all of them are judged on.
        sample: Some of them, decoded, to rank layers on.
        reference: The fp32 artifact of the same format.
        make: Writes an artifact by a recipe; gives seconds.
        folder: For what is written on the way.
        progress: Told how far each step is.
        crew: Who judges.
    """
    twin = open_artifact(reference)
    subject = artifact_subject(twin)
    # Other formats may be judged at the same time: one engine each is enough.
    judge = Judge(subject.contract, EvaluationOptions(images, jobs=1), folder, progress, crew)
    measured = judge.judge(subject, None, keep=True)

    def compared(path: Path) -> Result:
        return judge.judge(artifact_subject(open_artifact(path)), subject)

    def rank(path: Path) -> list[str]:
        from edgeferry.app.debugging import compare

        pictures = batches_of(sample, subject.contract.input)
        layers = compare(open_artifact(path), twin, pictures, progress)
        return [layer.layer for layer in layers if layer.precision == "int8"]

    suffix = reference.suffix
    return ControlTools(measured, make, compared, rank, folder, suffix, judge.warnings)
