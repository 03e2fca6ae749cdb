"""Whether the calibration pictures are enough, in sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgeferry.app.export_options import ExportOptions

if TYPE_CHECKING:
    from edgeferry.calibration.store import CalibrationSet

_STILL_MOVING = 0.1
"""Of its width: a range that moves more over the last half of the pictures is not settled."""


def about_pictures(
    calibration: CalibrationSet | None, validation: CalibrationSet | None, options: ExportOptions
) -> Iterator[str]:
    """What speaks against the pictures before any range is found.

    Args:
        calibration: The calibration pictures.
        validation: A sample of the validation pictures.
        options: Where they come from; sentences go into the manifest, so without their path.
    """
    from edgeferry.calibration.store import StoredPictures
    from edgeferry.calibration.sufficiency import doubts

    if calibration is None:
        return
    if calibration.skipped and options.calibration is not None:
        source = options.calibration
        folder = source if source.is_dir() else source.parent
        shown = "; ".join(calibration.skipped[:3]).replace(f"{folder}{os.sep}", "")
        yield f"skipped {len(calibration.skipped)} calibration pictures: {shown}"
    if "int8" in options.precisions:
        others = None if validation is None else StoredPictures(validation.path)
        yield from doubts(StoredPictures(calibration.path), others)


def about_movement(movements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence if ranges still moved over the last half of the calibration pictures.

    Args:
        movements: Of each format.
    """
    typical = max((float(each["typical"]) for each in movements), default=0.0)
    if typical > _STILL_MOVING:
        yield (
            f"the ranges still moved by {100 * typical:.0f} % over the last half of the "
            "calibration pictures: give more of them (--calibration-count)"
        )
