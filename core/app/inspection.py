"""What an artifact is: its contract, read from the file alone, and what its engine executes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.results import Result, results_document
from edgeferry.artifact import Artifact, open_artifact
from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.errors import EdgeferryError
from edgeferry.runtimes.base import Description, RuntimeOptions
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime


@dataclass(frozen=True)
class Inspection:
    """What is known of an artifact.

    Attributes:
        artifact: The file and its contract.
        runtime: Name of the engine that was asked; None where none could be.
        description: What the engine executes; None where none could be asked.
        notes: Why something is not known.
    """

    artifact: Artifact
    runtime: str | None
    description: Description | None
    notes: tuple[str, ...] = ()

    def result(self, layers: bool = False) -> Result:
        """The figures by the keys that results have everywhere.

        Args:
            layers: List every operation too.
        """
        engine, contract = self.description, self.artifact.contract
        extra: dict[str, Any] = {
            "contract": contract.to_dict() if contract else None,
            "inputs": _inputs(contract),
            "outputs": _outputs(contract),
            "engine": f"{engine.engine} {engine.version}" if engine else None,
            "engine_device": engine.device if engine else None,
            "threads": engine.threads if engine else None,
        }
        if layers:
            extra["layers"] = [asdict(each) for each in engine.operations] if engine else None
        return Result(
            artifact=self.artifact.path.name,
            format=self.artifact.format,
            precision=self.artifact.precision,
            runtime=self.runtime,
            size_bytes=self.artifact.size_bytes,
            executed=engine.executed if engine else None,
            ops=engine.ops() if engine else None,
            extra=extra,
        )

    def document(self, layers: bool = False) -> dict[str, Any]:
        """What ``--json`` writes."""
        return results_document("inspect", [self.result(layers)], {"notes": list(self.notes)})


def inspect(path: str | Path, runtime: str | None, options: RuntimeOptions) -> Inspection:
    """Read the contract of an artifact, and ask its engine what it executes.

    An engine that is not installed or refuses the file is a note, unless it was asked for
    by name; so is a missing contract.

    Args:
        path: The artifact.
        runtime: Engine to ask; None takes the first one installed.
        options: How the engine shall run.

    Raises:
        ArtifactError: If the file is missing or damaged.
        EdgeferryError: If the engine asked for by name cannot be used.
    """
    artifact = open_artifact(path)
    contract = artifact.contract
    if contract is None:
        note = "it carries no edgeferry contract: not exported by edgeferry, so it is not run"
        return Inspection(artifact, None, None, (note,))
    try:
        chosen = choose_runtime(artifact.format, runtime)
        with RUNTIMES.load(chosen)(artifact.path, contract, options) as engine:
            return Inspection(artifact, chosen, engine.describe())
    except EdgeferryError as error:
        if runtime is not None:
            raise
        return Inspection(artifact, None, None, (f"its operations are not known: {error}",))


def _inputs(contract: Contract | None) -> list[dict[str, Any]] | None:
    if contract is None:
        return None
    return [{"name": INPUT_NAME, "dtype": "uint8", "shape": list(contract.input.shape)}]


def _outputs(contract: Contract | None) -> list[dict[str, Any]] | None:
    if contract is None:
        return None
    batch = contract.input.batch
    return [
        {"name": output.name, "dtype": "float32", "shape": [batch, *output.shape]}
        for output in contract.outputs
    ]
