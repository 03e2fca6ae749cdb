"""What an evaluation judges, and what it compares that with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeferry.artifact import (
    Artifact,
    artifact_digests,
    format_of,
    open_artifact,
    require_contract,
)
from edgeferry.contract import Contract


@dataclass(frozen=True)
class Subject:
    """A model to judge.

    Attributes:
        path: Its file.
        format: Its format; ``keras`` for a trained model.
        contract: Its contract; a trained model is held to its artifacts'.
        size_bytes: Its size; None where it is no single file.
    """

    path: Path
    format: str
    contract: Contract
    size_bytes: int | None

    def digests(self) -> dict[str, str | None]:
        """SHA-256 of its file, and of its weights where they are in a file apart."""
        if not self.path.is_file():
            return {"sha256": None, "weights_sha256": None}
        return artifact_digests(self.path)


def artifact_subject(artifact: Artifact) -> Subject:
    """Judge an exported file by the contract inside it.

    Raises:
        ContractError: If it carries none.
    """
    contract = require_contract(artifact)
    return Subject(artifact.path, artifact.format, contract, artifact.size_bytes)


def given_reference(path: Path | None, artifacts: Sequence[Subject]) -> Subject | None:
    """The reference asked for: one of the artifacts, another one, or a trained model.

    A trained model is held to the contract of the first artifact, in batches of any size.

    Raises:
        EdgeferryError: If it is an artifact, and damaged or without contract.
    """
    if path is None:
        return None
    artifact = None if format_of(path) is None else open_artifact(path)
    # An ONNX file without contract is a trained model.
    if artifact is not None and (artifact.contract is not None or artifact.format != "onnx"):
        subject = artifact_subject(artifact)
        return next((each for each in artifacts if each == subject), subject)
    contract = artifacts[0].contract.with_artifact("fp32", "fp32")
    contract = replace(contract, input=replace(contract.input, batch=None))
    return Subject(path, "keras", contract, path.stat().st_size if path.is_file() else None)


def reference_for(
    subject: Subject, artifacts: Sequence[Subject], given: Subject | None
) -> Subject | None:
    """What a subject is compared with; nothing, for a reference itself.

    Args:
        subject: The one to judge.
        artifacts: All that are judged.
        given: The reference asked for; None takes the fp32 artifact, of the subject's format
            if there is one.
    """
    if given is not None:
        return None if subject is given else given
    floats = [each for each in artifacts if each.contract.precision == "fp32"]
    best = next((each for each in floats if each.format == subject.format), None)
    best = best or next(iter(floats), None)
    return None if best is subject else best
