"""Whether an artifact is as it was exported: the digest inside it, put in and checked.

The check comes before any engine sees the file: one that is given a cut or altered file can end
the process.
"""

from collections.abc import Sequence
from pathlib import Path

from edgeferry.artifact import artifact_files, open_artifact
from edgeferry.contract import Contract, IntegrityInfo
from edgeferry.errors import ArtifactError
from edgeferry.files import sha256_of
from edgeferry.sealing import UNSEALED, put_in, seal, sealed_digest

UNSEALED_WEIGHTS = "b175" + "0" * 60
"""What is written where the digest of the weights will stand."""


def unsealed(files: int) -> IntegrityInfo:
    """What an exporter writes into the contract of an artifact of one file or two."""
    return IntegrityInfo(UNSEALED, UNSEALED_WEIGHTS if files > 1 else None)


def seal_artifact(path: Path) -> bool:
    """Put the digests of an artifact into its contract, once all its files are written.

    Args:
        path: Its first file; written by a format that keeps the contract as text.

    Returns:
        Whether the contract had a place for them.
    """
    if others := artifact_files(path)[1:]:
        put_in(path, UNSEALED_WEIGHTS, _digest_of(others))
    return seal(path)


def check_whole(path: Path, contract: Contract | None) -> None:
    """See that an artifact's files are as they were exported.

    Args:
        path: Its first file.
        contract: The contract in it; one without digest, or None, says nothing.

    Raises:
        ArtifactError: If a byte was changed, added or lost, or they cannot be read.
    """
    told = contract.integrity if contract else None
    if told is None:
        return
    try:
        if sealed_digest(path, told.sha256) != told.sha256:
            raise _changed(path)
        if told.weights_sha256 is not None:
            others = artifact_files(path)[1:]
            if others and _digest_of(others) != told.weights_sha256:
                raise _changed(others[0])
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error


def check_file(path: Path) -> None:
    """See that an artifact's files are as they were exported, by the contract that they carry.

    Raises:
        ArtifactError: If a byte was changed, added or lost, or they cannot be read.
        ContractError: If the contract is malformed or of a newer schema.
    """
    check_whole(path, open_artifact(path).contract)


def _digest_of(others: Sequence[Path]) -> str:
    """Of the one file beside the first; of several, of which some may be missing, over theirs."""
    if len(others) == 1 and others[0].exists():
        return sha256_of(others[0])
    from hashlib import sha256

    told = [sha256_of(file) if file.exists() else "none" for file in others]
    return sha256("\n".join(told).encode()).hexdigest()


def _changed(path: Path) -> ArtifactError:
    return ArtifactError(
        f"{path} was changed or damaged since it was exported: its digest does not match",
        "Copy it anew from where it was exported, or export it again",
    )
