"""``edgeferry verify``: whether artifacts, output folders and bundles are as they were made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeferry.app.archive_reader import SUMS, is_archive, read_archive
from edgeferry.app.bundle_check import check_contents, read_folder
from edgeferry.app.manifest import MANIFEST
from edgeferry.app.manifest_check import check_entry, read_entries
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import artifact_files, format_of, open_artifact
from edgeferry.errors import ArtifactError, EdgeferryError, MissingDependencyError, UsageError
from edgeferry.integrity import check_whole
from edgeferry.progress import Progress, silent

State = Literal["whole", "no digest", "refused"]
Signature = Literal["good", "not checked"]
OWN_DIGEST = "its own digest"


@dataclass(frozen=True)
class Checked:
    """One artifact or bundle, verified.

    Attributes:
        path: Its file, or a bundle's folder.
        kind: ``artifact`` or ``bundle``.
        held_to: What its bytes were compared with.
        state: ``no digest`` where there is nothing to compare them with.
        files: Number of its files.
        signature: ``good``, or ``not checked`` where no key was given; None where there is none.
        problem: Why it is refused.
    """

    path: Path
    kind: Literal["artifact", "bundle"]
    held_to: str
    state: State
    files: int
    signature: Signature | None = None
    problem: str = ""

    def result(self) -> Result:
        """The figures by the keys that results have everywhere."""
        kind = format_of(self.path) if self.kind == "artifact" else None
        extra = {
            "path": str(self.path),
            "kind": self.kind,
            "held_to": self.held_to,
            "state": self.state,
            "files": self.files,
            "signature": self.signature,
            "problem": self.problem or None,
        }
        return Result(artifact=self.path.name, format=kind, extra=extra)


@dataclass(frozen=True)
class VerificationReport:
    """What was verified, in the order given."""

    checked: tuple[Checked, ...]

    @property
    def failures(self) -> Mapping[str, str]:
        """What is refused, by path, with the reason."""
        return {str(each.path): each.problem for each in self.checked if each.problem}

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        results = [each.result() for each in self.checked]
        return results_document("verify", results, {"failures": dict(self.failures)})


def verify(
    paths: Sequence[Path], key: Path | None = None, progress: Progress = silent
) -> VerificationReport:
    """Compare artifacts, output folders and bundles with the digests that belong to them.

    Args:
        paths: Artifacts; folders of artifacts, with or without manifest; bundles, packed or not.
        key: PEM file of the Ed25519 public key that all of them have to be signed for.
        progress: Told of each.

    Raises:
        ArtifactError: If there is no such file.
        UsageError: If it is nothing that could be verified, or the key is none.
        MissingDependencyError: If a key is given and ``cryptography`` is not installed.
    """
    checked: list[Checked] = []
    for number, path in enumerate(paths):
        progress("verifying", number, len(paths))
        try:
            checked += _verified(path, key)
        except OSError as error:
            raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    progress("verifying", len(paths), len(paths))
    return VerificationReport(tuple(checked))


def _verified(path: Path, key: Path | None) -> Iterator[Checked]:
    if not path.exists():
        raise ArtifactError(f"there is no {path}")
    if (path.is_dir() and os.path.lexists(path / SUMS)) or (path.is_file() and is_archive(path)):
        yield _bundle(path, key)
    elif path.is_dir():
        yield from _folder(path, key)
    elif format_of(path) is not None:
        yield _artifact(path, key)
    else:
        raise UsageError(
            f"{path} is nothing that can be verified",
            "Give artifacts, folders of artifacts, or bundles",
        )


def _bundle(path: Path, key: Path | None) -> Checked:
    files = 0
    signature: Signature | None = None
    try:
        contents = read_folder(path, key is not None) if path.is_dir() else read_archive(path)
        files = len(contents.digests)
        signature = "not checked" if contents.signature is not None and key is None else None
        check_contents(contents, key)
    except (UsageError, MissingDependencyError):
        raise
    except EdgeferryError as error:
        return Checked(path, "bundle", SUMS, "refused", files, signature, str(error))
    signature = "good" if key is not None else signature
    return Checked(path, "bundle", SUMS, "whole", files, signature)


def _folder(folder: Path, key: Path | None) -> Iterator[Checked]:
    found = sorted(path for path in folder.iterdir() if format_of(path) is not None)
    has_manifest = (folder / MANIFEST).is_file()
    try:
        entries = read_entries(folder) if has_manifest else {}
        if not found and not entries:
            raise UsageError(f"{folder} holds nothing that can be verified")
    except ArtifactError as error:
        yield Checked(folder, "artifact", MANIFEST, "refused", 0, problem=str(error))
        entries = {}
    for name, files in entries.items():
        problem = "\n".join(filter(None, (check_entry(folder, each) for each in files)))
        yield _settled(folder / name, MANIFEST, len(files), problem, key)
    listed = {each["file"] for files in entries.values() for each in files}
    for path in found:
        if path.name not in listed:
            yield _artifact(path, key)


def _artifact(path: Path, key: Path | None) -> Checked:
    try:
        contract = open_artifact(path).contract
        check_whole(path, contract)
    except EdgeferryError as error:
        return _settled(path, OWN_DIGEST, 1, str(error), key)
    has_digest = contract is not None and contract.integrity is not None
    return _settled(path, OWN_DIGEST, len(artifact_files(path)), "", key, has_digest)


def _settled(
    path: Path, held_to: str, files: int, problem: str, key: Path | None, has_digest: bool = True
) -> Checked:
    """An artifact, of which no key can say whose it is."""
    if key is not None and not problem:
        problem = "it is not signed: bundles alone are"
    state: State = "refused" if problem else "whole" if has_digest else "no digest"
    return Checked(path, "artifact", held_to, state, files, problem=problem)
