"""``edgeferry debug``: which layers of an int8 artifact are wrong, and by how much."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.crew import Crew, open_crew
from edgeferry.app.layer_errors import LayerError, layer_errors, ranked
from edgeferry.app.layer_sums import TwinFiles
from edgeferry.app.probe import Use, check_all_whole, check_safe
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import Artifact, open_artifact, require_contract
from edgeferry.errors import UsageError
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.exporters.statistics import Calibration, batches_of
from edgeferry.progress import Progress, silent


@dataclass(frozen=True)
class DebugReport:
    """What a comparison of two artifacts found.

    Attributes:
        artifact: The int8 artifact.
        reference: Its float twin.
        layers: Every layer, the one that adds most error first.
        images: Number of pictures they were run on.
        warnings: Things the user should know, e.g. skipped pictures.
    """

    artifact: Artifact
    reference: Artifact
    layers: tuple[LayerError, ...]
    images: int
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        result = Result(
            artifact=self.artifact.path.name,
            format=self.artifact.format,
            precision=self.artifact.precision,
            images=self.images,
            size_bytes=self.artifact.size_bytes,
            extra={"reference": self.reference.path.name},
        )
        layers = [asdict(layer) for layer in self.layers]
        notes = {"layers": layers, "warnings": list(self.warnings)}
        return results_document("debug", [result], notes)


def debug(
    artifact: str | Path,
    reference: str | Path,
    images: Path,
    count: int = 32,
    seed: int = 0,
    progress: Progress = silent,
    scheduler: str | None = None,
) -> DebugReport:
    """Compare the layers of an int8 artifact with those of its float twin.

    Args:
        artifact: The int8 artifact.
        reference: The fp32 artifact of the same format and source.
        images: Pictures: what calibration takes.
        count: Largest number of pictures.
        seed: For the sample.
        progress: Told how far it is.
        scheduler: Address of a Dask scheduler whose workers run the two; None runs them here.

    Raises:
        EdgeferryError: If the two do not belong together, the pictures are not usable, or the
            cluster cannot be reached.
    """
    from edgeferry.calibration.store import write_calibration

    int8, twin = open_artifact(artifact), open_artifact(reference)
    check_twins(int8, twin)
    EXPORTERS.require(int8.format)
    if scheduler is None:
        check_safe([int8, twin], Use(network=True))
    else:
        check_all_whole([int8, twin])
    spec = require_contract(int8).input
    with (
        nullcontext() if scheduler is None else open_crew(scheduler) as crew,
        tempfile.TemporaryDirectory(prefix="edgeferry-") as folder,
    ):
        stored = write_calibration(images, spec, count, seed, Path(folder) / "x.npy", progress)
        pictures = batches_of(stored, spec)
        layers = compare(int8, twin, pictures, progress, crew)
    warnings = [f"skipped: {problem}" for problem in stored.skipped]
    return DebugReport(int8, twin, tuple(layers), stored.images, tuple(warnings))


def compare(
    int8: Artifact,
    twin: Artifact,
    pictures: Calibration,
    progress: Progress = silent,
    crew: Crew | None = None,
) -> list[LayerError]:
    """The layers of two artifacts that belong together, the one that adds most error first.

    Args:
        int8: The int8 artifact.
        twin: Its float twin.
        pictures: In batches as they take them.
        progress: Told after each batch.
        crew: Who runs them; None runs them here, one batch after another.

    Raises:
        UsageError: If they have no layer in common.
    """
    from edgeferry.exporters.base import EQUALIZATION

    made = require_contract(int8).quantization
    rescaled = made is not None and EQUALIZATION in made.repairs
    files = TwinFiles(int8.path, twin.path, int8.format)
    return ranked(layer_errors(files, pictures, progress, rescaled, crew))


def check_twins(int8: Artifact, twin: Artifact) -> None:
    """Refuse artifacts whose layers cannot be compared.

    Raises:
        ContractError: If one carries no contract.
        UsageError: If they are not int8 and fp32 of one format and one source.
    """
    own, other = require_contract(int8), require_contract(twin)
    if own.precision != "int8":
        raise UsageError(f"{int8.path.name} is {own.precision}: only int8 artifacts are debugged")
    if other.precision != "fp32":
        raise UsageError(
            f"the reference {twin.path.name} is {other.precision}, not fp32",
            "Export it with --precisions fp32,int8",
        )
    if int8.format != twin.format:
        raise UsageError(
            f"{int8.path.name} is {int8.format}, the reference {twin.path.name} is {twin.format}",
            f"Give the fp32 {int8.format} artifact: its tensors are the same",
        )
    if own.source.sha256 != other.source.sha256:
        raise UsageError(
            f"{int8.path.name} and {twin.path.name} were not exported from the same model"
        )
    unlike = [
        what
        for what, one, two in (
            ("input", own.input, other.input),
            ("preprocessing", own.source.preprocessing, other.source.preprocessing),
            ("head", own.head, other.head),
        )
        if one != two
    ]
    if unlike:
        raise UsageError(
            f"{int8.path.name} and {twin.path.name} were exported with another {unlike[0]} each",
            "Export both in one go: edgeferry export --precisions fp32,int8",
        )
