"""What accuracy control works with: judging on the validation pictures, ranking layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgeferry.app.accuracy_control import ControlTools
from edgeferry.exporters.recipes import Recipe
from edgeferry.progress import Progress

if TYPE_CHECKING:
    from edgeferry.app.format_export import FormatPlan


def control_tools(
    plan: FormatPlan,
    reference: Path,
    make: Callable[[Recipe, Path], float],
    folder: Path,
    progress: Progress,
) -> ControlTools:
    """The tools for one artifact.

    Args:
        plan: Names the validation pictures.
        reference: The fp32 artifact of the same format.
        make: Writes an artifact by a recipe; gives seconds.
        folder: For what is written on the way.
        progress: Told how far each step is.
    """
    raise NotImplementedError
