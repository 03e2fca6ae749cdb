"""What an exporter is: from a prepared source to artifacts, one format each."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from edgeferry.calibration.histogram import Range
from edgeferry.calibration.ranges import AUTO
from edgeferry.contract import CalibrationInfo, Contract, Format, Precision, QuantizationInfo
from edgeferry.exporters.recipes import Recipe
from edgeferry.exporters.statistics import Calibration, Statistics
from edgeferry.integrity import unsealed
from edgeferry.progress import Progress, silent
from edgeferry.threads import physical_cores

P = TypeVar("P")
"""What an exporter's precisions share."""
BIAS_CORRECTION, EQUALIZATION = "bias-correction", "equalization"
"""Repairs, as contracts name them."""


@dataclass(frozen=True)
class PreparedSource:
    """A source model with the contract folded in, ready for every exporter.

    Attributes:
        graph: Frozen TensorFlow graph (``.pb``), ``image`` to ``probabilities``.
        contract: The contract of its fp32 artifact, before tool versions.
        best_method: The calibration method that measured best on such networks; what ``auto``
            stands for.
    """

    graph: Path
    contract: Contract
    best_method: str = "percentile"

    def save(self, path: Path) -> None:
        """Write everything but the graph itself as JSON."""
        contract = self.contract.to_dict()
        data = {"graph": self.graph.name, "contract": contract, "best_method": self.best_method}
        path.write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PreparedSource:
        """Read what ``save`` wrote; the graph lies beside it."""
        data = json.loads(path.read_text(encoding="utf-8"))
        contract = Contract.from_dict(data["contract"])
        return cls(path.with_name(data["graph"]), contract, data["best_method"])


class Exporter(ABC, Generic[P]):
    """Writes one format. Runs in a process of its own, away from the other engines.

    Args:
        source: The prepared source.
        progress: Told how far the work is.
    """

    format: ClassVar[Format]
    suffixes: ClassVar[tuple[str, ...]]
    """File suffixes of one artifact, the one that users name first."""
    repairs: ClassVar[tuple[str, ...]] = (BIAS_CORRECTION,)
    """What this format does against the error of int8, always."""

    def __init__(
        self, source: PreparedSource, progress: Progress = silent, threads: int | None = None
    ) -> None:
        self.source = source
        self.progress = progress
        self.threads = threads or physical_cores()
        """For running the float model over the calibration pictures."""
        self.collected: Statistics | None = None
        """What ``statistics`` gave, if it was asked."""

    @abstractmethod
    def prepare(self) -> P:
        """Do once what all precisions share."""

    @abstractmethod
    def export(
        self, prepared: P, recipe: Recipe, calibration: Calibration | None, destination: Path
    ) -> None:
        """Write one artifact.

        Args:
            prepared: What ``prepare`` gave.
            recipe: Precision and how to reach it.
            calibration: The pictures; needed by int8 recipes only.
            destination: File to write, with the first of ``suffixes``.
        """

    def statistics(self, prepared: P, calibration: Calibration) -> Statistics:
        """What the activations held: one pass over the pictures serves every int8 recipe."""
        if self.collected is None:
            self.collected = self._collect(prepared, calibration)
        return self.collected

    def _collect(self, prepared: P, calibration: Calibration) -> Statistics:
        """Read the activations of the float model; a format without int8 leaves this out."""
        raise NotImplementedError

    def ranges(self, prepared: P, recipe: Recipe, calibration: Calibration) -> dict[str, Range]:
        """The range of each activation by a recipe's method, by tensor name."""
        return self.statistics(prepared, calibration).ranges(self.method(recipe))

    def method(self, recipe: Recipe) -> str:
        """The name of the range-finding method that a recipe comes to."""
        return self.source.best_method if recipe.method == AUTO else recipe.method

    def contract(self, recipe: Recipe, calibration: Calibration | None) -> Contract:
        """The contract for one artifact of this exporter; its digest is put in afterwards."""
        ranges, quantization = None, None
        if recipe.precision == "int8":
            assert calibration is not None
            pictures = len(calibration.pictures)
            ranges = CalibrationInfo(self.method(recipe), pictures, calibration.sha256)
            equalization = (EQUALIZATION,) if recipe.equalize else ()
            quantization = QuantizationInfo(
                (*equalization, *self.repairs), recipe.float_layers, recipe.control
            )
        contract = self.source.contract.with_artifact(
            recipe.precision, recipe.name, ranges, quantization
        )
        contract = contract.with_versions(**self.tool_versions(recipe.precision))
        return replace(contract, integrity=unsealed(len(self.suffixes)))

    @abstractmethod
    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """Versions of the packages that shape an artifact of that precision."""


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of distributions, by name."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}
