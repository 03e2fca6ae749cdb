"""What an artifact is: its contract, read from the file alone, and what its engine executes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.probe import Use, check_safe
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import Artifact, open_artifact
from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.errors import ArtifactError, ContractError, EdgeferryError
from edgeferry.given_contract import GivenContract
from edgeferry.runtimes.base import Description, Runtime, RuntimeOptions
from edgeferry.runtimes.binding import bind
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.runtimes.tensors import Tensors, TensorSpec


@dataclass(frozen=True)
class Inspection:
    """What is known of an artifact.

    Attributes:
        artifact: The file and its contract.
        runtime: Name of the engine that was asked; None where none could be.
        description: What the engine executes; None where none could be asked.
        notes: Why something is not known.
        tensors: What a file without contract takes and gives.
    """

    artifact: Artifact
    runtime: str | None
    description: Description | None
    notes: tuple[str, ...] = ()
    tensors: Tensors | None = None

    def missing(self) -> list[str]:
        """What of the contract a file of another maker lacks; empty for ours."""
        if self.artifact.contract is not None:
            return []
        lacks = ["preprocessing", "resize rule", "labels", "what the outputs are", "its source"]
        image = self.tensors.inputs[0] if self.tensors and self.tensors.inputs else None
        is_ours = image is not None and image.dtype == "uint8" and image.shape[-1] in (1, 3)
        return lacks if is_ours else ["uint8 pictures [N, height, width, colors] in", *lacks]

    def result(self, layers: bool = False) -> Result:
        """The figures by the keys that results have everywhere.

        Args:
            layers: List every operation too.
        """
        engine, contract = self.description, self.artifact.contract
        extra: dict[str, Any] = {
            "contract": contract.to_dict() if contract else None,
            "inputs": _listed(self.tensors.inputs) if self.tensors else _inputs(contract),
            "outputs": _listed(self.tensors.outputs) if self.tensors else _outputs(contract),
            "missing": self.missing(),
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


def inspect(
    path: str | Path,
    runtime: str | None,
    options: RuntimeOptions,
    given: Path | None = None,
    network: bool = False,
) -> Inspection:
    """Read the contract of an artifact, and ask its engine what it executes.

    An engine that is not installed or refuses the file is a note, unless it was asked for
    by name; so is a missing contract. A file without digest is tried out in a process of its
    own first.

    Args:
        path: The artifact, or a model file of another maker.
        runtime: Engine to ask; None takes the first one installed.
        options: How the engine shall run.
        given: JSON file with the contract of a file that carries none.
        network: Whether its operations will be read too.

    Raises:
        ArtifactError: If the file is missing or damaged, was changed since it was exported, or
            ends the process that opens it.
        ContractError: If the contract given does not suit the file.
        EdgeferryError: If the engine asked for by name cannot be used.
    """
    artifact = open_artifact(path)
    try:
        check_safe([artifact], Use(runtime, options, given, network))
        chosen = choose_runtime(artifact.format, runtime)
        engine = RUNTIMES.load(chosen)
        if artifact.contract is None:
            return _inspect_foreign(artifact, chosen, engine, options, given)
        with engine(artifact.path, artifact.contract, options) as opened:
            return Inspection(artifact, chosen, opened.describe())
    except (ArtifactError, ContractError):
        raise
    except EdgeferryError as error:
        if runtime is not None:
            raise
        return Inspection(artifact, None, None, (f"its operations are not known: {error}",))


def _inspect_foreign(
    artifact: Artifact,
    chosen: str,
    engine: type[Runtime],
    options: RuntimeOptions,
    given: Path | None,
) -> Inspection:
    """Ask the engine about a file that carries no contract."""
    tensors = engine.tensors(artifact.path)
    note = "it carries no edgeferry contract: it runs with the one you give it, --contract FILE"
    try:
        told = GivenContract.from_file(given) if given else GivenContract("none", "raw")
        contract, binding = bind(artifact.path.stem, tensors, told)
    except EdgeferryError as error:
        if given is not None:
            raise
        notes = (note, f"its operations are not known: {error}")
        return Inspection(artifact, chosen, None, notes, tensors)
    if given is not None:
        note = f"it carries no edgeferry contract; with {given.name} it is a {contract.task}"
    with engine(artifact.path, contract, options, binding) as opened:
        return Inspection(artifact, chosen, opened.describe(), (note,), tensors)


def _listed(tensors: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "dtype": each.dtype, "shape": list(each.shape)}
        | ({"scale": each.scale, "zero_point": each.zero_point} if each.scale else {})
        for each in tensors
    ]


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
