"""The export of one format: a process of its own, asked for one artifact after another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.accuracy_control import AccuracyControl, Attempt
from edgeferry.app.control_tools import control_tools
from edgeferry.app.crew import Crew
from edgeferry.app.export_journal import ArtifactFacts
from edgeferry.app.export_options import ControlReport, ExportOptions
from edgeferry.app.partial import Partial
from edgeferry.artifact import artifact_files
from edgeferry.errors import EdgeferryError
from edgeferry.exporters.base import PreparedSource
from edgeferry.exporters.processes import Worker, Workers
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
        partial: Takes the finished artifacts, and may have some from an interrupted run.
        threads: For each format's engine.
        crew: Who judges what accuracy control tries.
        workers: The processes of all formats.
    """

    prepared: PreparedSource
    pictures: CalibrationSet | None
    validation: CalibrationSet | None
    options: ExportOptions
    partial: Partial
    threads: int
    crew: Crew
    workers: Workers = field(default_factory=Workers)


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
        self.warn(other.warnings)

    def add_artifact(self, name: str, format: str, facts: ArtifactFacts) -> None:
        """Take in what is known of a finished artifact."""
        self.seconds[name] = facts.seconds
        if facts.control is not None:
            self.controlled[name] = facts.control
        if facts.movement:
            self.movement[format] = facts.movement
        self.warn(facts.warnings)

    def warn(self, warnings: Iterable[str]) -> None:
        """Add what is not yet said."""
        self.warnings += [each for each in warnings if each not in self.warnings]


def export_format(format: str, plan: FormatPlan, progress: Progress) -> FormatOutcome:
    """Write all artifacts of one format; what fails does not lose the others.

    Args:
        format: Its name.
        plan: What to write.
        progress: Told how far each step is.
    """
    outcome = FormatOutcome()

    def told(step: str, done: int, total: int) -> None:
        plan.workers.check()
        progress(f"{format}: {step}", done, total)

    try:
        if recipes := _unfinished(format, plan, outcome):
            with plan.workers.start(format, plan.partial.work) as worker:
                _FormatExport(format, plan, worker, told, outcome).run(recipes)
    except EdgeferryError as error:
        outcome.failures[format] = error
    return outcome


def _unfinished(format: str, plan: FormatPlan, outcome: FormatOutcome) -> list[Recipe]:
    """The recipes to run through; of those that an interrupted run did, the outcome is taken."""
    options, left = plan.options, []
    for recipe in recipes_for(format, options.precisions, options.targets):
        name = _file_name(format, plan, recipe)
        known = plan.partial.finished(name)
        if known is None:
            left.append(replace(recipe, method=options.calibration_method))
        else:
            outcome.add_artifact(name, format, ArtifactFacts.from_dict(known))
    return left


def _file_name(format: str, plan: FormatPlan, recipe: Recipe) -> str:
    suffix = EXPORTERS.load(format).suffixes[0]
    return f"{plan.prepared.contract.source.name}.{recipe.file_tag}{suffix}"


@dataclass
class _FormatExport:
    format: str
    plan: FormatPlan
    worker: Worker
    progress: Progress
    outcome: FormatOutcome

    def run(self, recipes: Sequence[Recipe]) -> None:
        self.worker.ask(self._opening(), self.progress)
        for number, recipe in enumerate(recipes):
            self.progress(recipe.file_tag, number, len(recipes))
            self._write(recipe)
        self.progress("done", len(recipes), len(recipes))
        if movement := self._movement():
            self.outcome.movement[self.format] = movement

    def _write(self, recipe: Recipe) -> None:
        name = _file_name(self.format, self.plan, recipe)
        path = self.plan.partial.work / name
        controlled = recipe.precision == "int8" and self.plan.options.max_accuracy_drop is not None
        write = self._controlled if controlled else self._uncontrolled
        try:
            facts = write(recipe, path)
        except EdgeferryError as error:
            if not self.worker.alive:
                raise
            self.outcome.failures[name] = error
        else:
            self.plan.partial.finish(name, artifact_files(path), facts.to_dict())
            self.outcome.add_artifact(name, self.format, facts)

    def _movement(self) -> dict[str, Any]:
        return self.worker.ask({"kind": "movement"})

    def _uncontrolled(self, recipe: Recipe, destination: Path) -> ArtifactFacts:
        return ArtifactFacts(self._make(recipe, destination), self._movement())

    def _make(self, recipe: Recipe, destination: Path) -> float:
        job = {"kind": "make", "recipe": asdict(recipe), "destination": str(destination)}
        return float(self.worker.ask(job, self.progress)["seconds"])

    def _controlled(self, recipe: Recipe, destination: Path) -> ArtifactFacts:
        """Try recipes on the validation pictures; write the chosen one with the outcome inside."""
        limit, best_method = self.plan.options.max_accuracy_drop, self.plan.prepared.best_method
        assert limit is not None
        with tempfile.TemporaryDirectory(dir=self.plan.partial.work) as scratch:
            reference = self.plan.partial.files / _file_name(self.format, self.plan, FP32)
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
        told = [f"validation: {each}".replace(f"{folder}{os.sep}", "") for each in tools.warnings()]
        final = replace(chosen.recipe, control=control.info(chosen))
        seconds = self._make(final, destination)
        report = ControlReport(
            tuple(control.attempts),
            chosen,
            tuple(control.sensitive),
            tuple(control.failures),
            _failure(chosen, limit),
        )
        return ArtifactFacts(seconds, self._movement(), report, told)

    def _opening(self) -> dict[str, Any]:
        pictures = self.plan.pictures
        return {
            "kind": "open",
            "format": self.format,
            "prepared": str(self.plan.prepared.graph.with_name("prepared.json")),
            "threads": self.plan.threads,
            "calibration": pictures and {"path": str(pictures.path), "sha256": pictures.sha256},
        }


def _failure(chosen: Attempt, limit: float) -> str:
    if chosen.holds:
        return ""
    return (
        f"nothing that was tried holds {limit:g} points: the best loses {chosen.drop:.2f}\n"
        "It is kept; its contract says so"
    )
