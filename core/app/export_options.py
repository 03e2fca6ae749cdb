"""What an export is told and what it reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeferry.app.accuracy_control import Attempt
from edgeferry.contract import FORMATS, Format, Precision, Preprocessing, ResizeRule


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and how.

    Attributes:
        calibration: Calibration pictures: a folder, or a ``.npy``/``.npz`` file; int8 needs it.
        labels: Text file with one label a line, or a JSON list.
        preprocessing: What the source expects; None refuses rather than guesses, but for
            networks by name, which are known.
        task: What the outputs mean where their shapes do not tell: ``classification``,
            ``segmentation``, ``detection``, ``embedding`` or ``raw``.
        head: The last activation where the source does not tell: ``logits`` or ``softmax``
            (softmax is put on logits), or ``sigmoid`` (multi-label).
        formats: Formats to write, by their names in ``edgeferry.exporters.registry``.
        precisions: Precisions to write.
        targets: Processor families the integer types suit: ``x86``, ``arm``.
        calibration_method: Name of the range-finding method; ``auto`` takes the one that
            measured best on such networks.
        calibration_count: Largest number of calibration pictures.
        max_accuracy_drop: Percentage points of top-1 that int8 may lose against fp32 (of
            agreement, where the validation pictures have no labels); None does not control it.
        validation: Pictures to control the accuracy on; the calibration pictures are compared
            with them too.
        size: Height and width for a source whose input size is dynamic.
        batch: Pictures per inference; None is dynamic.
        resize: The host's resize rule.
        seed: For sampling the calibration pictures.
        jobs: Exporters that run side by side; None is as many as cores and memory bear.
        force: Replace artifacts in an existing output folder.
        resume: Go on with what an interrupted export of the same options and files had finished.
        signature: The one of a SavedModel; empty takes ``serving_default``, or the only one.
        scheduler: Address of a Dask scheduler whose workers judge what accuracy control tries;
            None judges here.
    """

    calibration: Path | None = None
    labels: Path | None = None
    preprocessing: Preprocessing | None = None
    task: str | None = None
    head: str | None = None
    formats: Sequence[Format] = FORMATS
    precisions: Sequence[Precision] = ("fp32", "fp16", "int8")
    targets: Sequence[str] = ("x86",)
    calibration_method: str = "auto"
    calibration_count: int = 100
    max_accuracy_drop: float | None = None
    validation: Path | None = None
    size: tuple[int, int] | None = None
    batch: int | None = 1
    resize: ResizeRule = ResizeRule()
    seed: int = 0
    jobs: int | None = None
    force: bool = False
    resume: bool = False
    signature: str = ""
    scheduler: str | None = None


@dataclass(frozen=True)
class ExportedArtifact:
    """One artifact that was written.

    Attributes:
        path: The file (for OpenVINO the ``.xml``).
        format: Its format.
        precision: Its precision.
        size_bytes: Its size, for OpenVINO with the ``.bin``.
        seconds: Time its export took; None where it was there already.
    """

    path: Path
    format: Format
    precision: Precision
    size_bytes: int
    seconds: float | None


@dataclass(frozen=True)
class ControlReport:
    """What accuracy control tried for one artifact.

    Attributes:
        attempts: In the order they were made.
        chosen: The one that was kept.
        sensitive: Layers, the one that adds most error first; empty where methods alone did.
        failures: What could not be tried, a sentence each.
        failure: Why it is a failure nevertheless; empty where the accuracy holds.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt
    sensitive: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes:
        artifacts: What was written.
        failures: Error text by what failed, an artifact or a whole format; empty if all
            went well.
        warnings: Things the user should know, e.g. skipped calibration pictures.
        source_top1: Percent that the source gets right of the labeled calibration pictures, or
            else validation pictures, where they are labeled.
        controlled: What accuracy control tried, by the artifact that came of it.
        movement: How ranges still moved over the last half of the calibration pictures, by
            format; see ``edgeferry.calibration.sufficiency.movement``.
    """

    artifacts: tuple[ExportedArtifact, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    source_top1: float | None = None
    controlled: Mapping[str, ControlReport] = field(default_factory=dict)
    movement: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
