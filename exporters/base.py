"""What an exporter is: from a prepared source to artifacts, one format each."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.calibration.store import StoredPictures
from edgeferry.contract import CalibrationInfo, Contract, Format, Precision
from edgeferry.exporters.recipes import Recipe
from edgeferry.progress import Progress, silent

P = TypeVar("P")
"""What an exporter's precisions share."""


@dataclass(frozen=True)
class PreparedSource:
    """A source model with the contract folded in, ready for every exporter.

    Attributes:
        graph: Frozen TensorFlow graph (``.pb``), ``image`` to ``probabilities``.
        contract: The contract of its fp32 artifact, before tool versions.
    """

    graph: Path
    contract: Contract

    def save(self, path: Path) -> None:
        """Write everything but the graph itself as JSON."""
        data = {"graph": self.graph.name, "contract": self.contract.to_dict()}
        path.write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PreparedSource:
        """Read what ``save`` wrote; the graph lies beside it."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(path.with_name(data["graph"]), Contract.from_dict(data["contract"]))


@dataclass(frozen=True)
class Calibration:
    """The pictures to calibrate on, streamed from disk in batches as the network takes them.

    Attributes:
        pictures: uint8 ``[1, height, width, channels]`` each.
        info: What the contract records of them.
        batch: Pictures per batch.
    """

    pictures: StoredPictures
    info: CalibrationInfo
    batch: int = 1

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.pictures) // self.batch)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Each batch, uint8; the last is filled up with copies of its last picture."""
        remaining = iter(self.pictures)
        while batch := list(islice(remaining, self.batch)):
            batch += batch[-1:] * (self.batch - len(batch))
            yield np.concatenate(batch)


class Exporter(ABC, Generic[P]):
    """Writes one format. Runs in a process of its own, away from the other engines.

    Args:
        source: The prepared source.
        progress: Told how far the work is.
    """

    format: ClassVar[Format]
    suffixes: ClassVar[tuple[str, ...]]
    """File suffixes of one artifact, the one that users name first."""
    best_method: ClassVar[str] = "percentile"
    """The calibration method that measured best on this format; what ``auto`` stands for."""

    def __init__(self, source: PreparedSource, progress: Progress = silent) -> None:
        self.source = source
        self.progress = progress

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

    def contract(self, recipe: Recipe, calibration: Calibration | None) -> Contract:
        """The contract for one artifact of this exporter."""
        info = calibration.info if calibration and recipe.precision == "int8" else None
        contract = self.source.contract.with_artifact(recipe.precision, recipe.name, info)
        return contract.with_versions(**self.tool_versions(recipe.precision))

    @abstractmethod
    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """Versions of the packages that shape an artifact of that precision."""


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of distributions, by name."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}
