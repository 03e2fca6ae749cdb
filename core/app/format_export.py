"""The export of one format: a process of its own, asked for one artifact after another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.accuracy_control import AccuracyControl, Attempt
from edgeferry.app.control_tools import control_tools
from edgeferry.app.crew import Crew
from edgeferry.app.export_options import ControlReport, ExportOptions
from edgeferry.errors import EdgeferryError
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker
from edgeferry.exporters.recipes import FP32, Recipe, recipes_for
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.progress import Progress

if TYPE_CHECKING:
    from edgeferry.calibration.store import CalibrationSet


@dataclass(frozen=True)
class FormatPlan:
    """What the exports of all formats share.

    Attributes:
        prepared: The source with the contract folded in.
        pictures: The calibration pictures, decoded.
        validation: Some of the validation pictures, decoded.
        options: What to export, and how.
        staging: Folder for the artifacts.
        threads: For each format's engine.
        crew: Who judges what accuracy control tries.
    """

    prepared: PreparedSource
    pictures: CalibrationSet | None
    validation: CalibrationSet | None
    options: ExportOptions
    staging: Path
    threads: int
    crew: Crew


@dataclass
class FormatOutcome:
    """What came of one format.

    Attributes:
        seconds: Time that each artifact took, by file name.
        failures: Errors by file name, or by the format's name where all is lost.
        controlled: What accuracy control tried, by file name.
        movement: How ranges moved over the last half of the calibration pictures, by format.
        warnings: What the user should know of the validation pictures.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, EdgeferryError] = field(default_factory=dict)
    controlled: dict[str, ControlReport] = field(default_factory=dict)
    movement: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, other: FormatOutcome) -> None:
        """Take in what came of another format."""
        self.seconds |= other.seconds
        self.failures |= other.failures
        self.controlled |= other.controlled
        self.movement |= other.movement
        self.warnings += [each for each in other.warnings if each not in self.warnings]


def export_format(format: str, plan: FormatPlan, progress: Progress) -> FormatOutcome:
    """Write all artifacts of one format; what fails does not lose the others.

    Args:
        format: Its name.
        plan: What to write.
        progress: Told how far each step is.
    """
    outcome = FormatOutcome()

    def told(step: str, done: int, total: int) -> None:
        progress(f"{format}: {step}", done, total)

    try:
        with Worker(format) as worker:
            _FormatExport(format, plan, worker, told, outcome).run()
    except EdgeferryError as error:
        outcome.failures[format] = error
    return outcome


@dataclass
class _FormatExport:
    format: str
    plan: FormatPlan
    worker: Worker
    progress: Progress
    outcome: FormatOutcome

    def run(self) -> None:
        options = self.plan.options
        self.worker.ask(self._opening(), self.progress)
        recipes = [
            replace(recipe, method=options.calibration_method)
            for recipe in recipes_for(self.format, options.precisions, options.targets)
        ]
        for number, recipe in enumerate(recipes):
            self.progress(recipe.file_tag, number, len(recipes))
            self._write(recipe)
        self.progress("done", len(recipes), len(recipes))
        if movement := self.worker.ask({"kind": "movement"}):
            self.outcome.movement[self.format] = movement

    def _write(self, recipe: Recipe) -> None:
        name = self._file_name(recipe)
        controlled = recipe.precision == "int8" and self.plan.options.max_accuracy_drop is not None
        write = self._controlled if controlled else self._make
        try:
            self.outcome.seconds[name] = write(recipe, self.plan.staging / name)
        except EdgeferryError as error:
            if not self.worker.alive:
                raise
            self.outcome.failures[name] = error

    def _make(self, recipe: Recipe, destination: Path) -> float:
        job = {"kind": "make", "recipe": asdict(recipe), "destination": str(destination)}
        return float(self.worker.ask(job, self.progress)["seconds"])

    def _controlled(self, recipe: Recipe, destination: Path) -> float:
        """Try recipes on the validation pictures; write the chosen one with the outcome inside."""
        limit, best_method = self.plan.options.max_accuracy_drop, self.plan.prepared.best_method
        assert limit is not None
        with tempfile.TemporaryDirectory(prefix="edgeferry-") as scratch:
            reference = self.plan.staging / self._file_name(FP32)
            if not reference.exists():
                reference = Path(scratch) / reference.name
                self._make(FP32, reference)
            images, sample = self.plan.options.validation, self.plan.validation
            assert images is not None and sample is not None
            tools = control_tools(
                images,
                sample,
                reference,
                self._make,
                Path(scratch),
                self.progress,
                self.plan.crew,
            )
            control = AccuracyControl(tools, best_method, limit)
            chosen = control.run(recipe)
        folder = images if images.is_dir() else images.parent
        told = (f"validation: {each}".replace(f"{folder}{os.sep}", "") for each in tools.warnings())
        self.outcome.warnings += [each for each in told if each not in self.outcome.warnings]
        final = replace(chosen.recipe, control=control.info(chosen))
        seconds = self._make(final, destination)
        self.outcome.controlled[destination.name] = ControlReport(
            tuple(control.attempts),
            chosen,
            tuple(control.sensitive),
            tuple(control.failures),
            _failure(chosen, limit),
        )
        return seconds

    def _opening(self) -> dict[str, Any]:
        pictures = self.plan.pictures
        return {
            "kind": "open",
            "format": self.format,
            "prepared": str(self.plan.prepared.graph.with_name("prepared.json")),
            "threads": self.plan.threads,
            "calibration": pictures and {"path": str(pictures.path), "sha256": pictures.sha256},
        }

    def _file_name(self, recipe: Recipe) -> str:
        source = self.plan.prepared.contract.source
        return f"{source.name}.{recipe.file_tag}{self._exporter().suffixes[0]}"

    def _exporter(self) -> Any:
        return EXPORTERS.load(self.format)


def _failure(chosen: Attempt, limit: float) -> str:
    if chosen.holds:
        return ""
    return (
        f"nothing that was tried holds {limit:g} points: the best loses {chosen.drop:.2f}\n"
        "It is kept; its contract says so"
    )
