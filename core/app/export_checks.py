"""What can be said against an export before any work is done."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from edgeferry.app.export_options import ExportOptions
from edgeferry.calibration.ranges import AUTO, METHODS
from edgeferry.contract import Precision, Preprocessing
from edgeferry.errors import CalibrationError, LabelError, UsageError
from edgeferry.exporters.recipes import TARGETS
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.labels import read_labels


def check_options(options: ExportOptions) -> None:
    """Refuse options that cannot work, and packages that are missing.

    Raises:
        EdgeferryError: The first thing that is wrong.
    """
    _check_choices("precision", options.precisions, get_args(Precision))
    _check_choices("target", options.targets, TARGETS)
    _check_choices("format", options.formats, tuple(EXPORTERS.entries()))
    for format in options.formats:
        EXPORTERS.require(format)
    _check_preprocessing(options.preprocessing)
    if options.calibration_count < 1:
        raise UsageError(f"cannot calibrate on {options.calibration_count} pictures")
    _check_choices("calibration method", (options.calibration_method,), (AUTO, *METHODS))
    _check_calibration(options.calibration, "int8" in options.precisions)
    _check_control(options)
    if options.labels is not None:
        _check_labels_file(options.labels)


def _check_choices(what: str, given: Sequence[str], known: tuple[str, ...]) -> None:
    if not given:
        raise UsageError(f"no {what} to export", f"Known: {', '.join(known)}")
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"unknown {what} {unknown[0]!r}; known: {', '.join(known)}")


def _check_preprocessing(mode: str | None) -> None:
    modes = get_args(Preprocessing)
    if mode is None:
        raise UsageError(
            "the model's preprocessing is not given, and is never guessed",
            f"Say what it was trained with: --preprocessing {'|'.join(modes)} "
            "(none: it takes 0-255 RGB)",
        )
    _check_choices("preprocessing", (mode,), modes)


def _check_calibration(path: Path | None, needed: bool) -> None:
    if path is None:
        if needed:
            raise CalibrationError(
                "int8 needs calibration pictures",
                "Give a folder of them with --calibration, or leave int8 out of --precisions",
            )
    elif not path.exists():
        raise CalibrationError(f"there is no calibration folder or file {path}")


def _check_control(options: ExportOptions) -> None:
    if options.validation is not None and not options.validation.exists():
        raise CalibrationError(f"there is no validation folder or file {options.validation}")
    if options.max_accuracy_drop is None:
        if options.scheduler is not None:
            raise UsageError(
                "a cluster has nothing to do in this export: it judges what accuracy control tries",
                "Add --max-accuracy-drop and --validation, or leave --scheduler out",
            )
        return
    if not 0 <= options.max_accuracy_drop <= 100:
        raise UsageError(f"an accuracy drop of {options.max_accuracy_drop:g} points makes no sense")
    if options.validation is None:
        raise UsageError(
            "the accuracy drop needs pictures to be measured on",
            "Give others than for calibration: --validation DIR",
        )
    if "int8" not in options.precisions:
        raise UsageError("only int8 loses accuracy: there is nothing to hold", "Add int8")


def _check_labels_file(path: Path) -> None:
    if not read_labels(path):
        raise LabelError(f"{path} holds no labels")
