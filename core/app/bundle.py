"""One archive with everything that a device needs to predict with an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.archive_reader import SUMS
from edgeferry.app.archives import check_archive, write_archive
from edgeferry.app.bundle_check import read_sums
from edgeferry.app.bundle_contents import BundleOptions, BundlePlan
from edgeferry.app.lock import Tell, output_lock, unheard
from edgeferry.app.partial import open_partial
from edgeferry.app.results import Result, results_document
from edgeferry.app.signatures import check_private_key
from edgeferry.artifact import (
    Artifact,
    artifact_digests,
    artifact_files,
    open_artifact,
    require_contract,
)
from edgeferry.devices.known import known_devices
from edgeferry.devices.profile import Profile, System, profile_named
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import sha256_of
from edgeferry.integrity import check_whole
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.registry import runtimes_for


@dataclass(frozen=True)
class BundleReport:
    """A bundle that was written.

    Attributes:
        path: The archive.
        artifact: What it carries.
        about: What it says of itself, as in its ``bundle.json``.
        files: Size in bytes of each file in it, by name.
        warnings: What would suit the device better.
        signed_by: SHA-256 of the public key that it is signed for; None where it is not signed.
    """

    path: Path
    artifact: Artifact
    about: Mapping[str, Any]
    files: Mapping[str, int]
    warnings: list[str]
    signed_by: str | None = None

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        artifact = self.artifact
        result = Result(
            artifact=artifact.path.name,
            format=artifact.format,
            precision=artifact.precision,
            runtime=self.about["runtime"],
            size_bytes=artifact.size_bytes,
            extra=artifact_digests(artifact.path),
        )
        notes = {
            "bundle": {
                "file": self.path.name,
                "size_bytes": self.path.stat().st_size,
                "sha256": sha256_of(self.path),
                "signed_by": self.signed_by,
                "about": dict(self.about),
                "files": dict(self.files),
            },
            "warnings": self.warnings,
        }
        return results_document("bundle", [result], notes)


def bundle(
    path: Path,
    options: BundleOptions,
    output: Path,
    progress: Progress = silent,
    tell: Tell = unheard,
) -> BundleReport:
    """Write a bundle: the same bytes for the same artifact, options and versions.

    Args:
        path: The artifact.
        options: What goes in.
        output: The archive, ``.tar.gz`` or ``.zip``; it is locked meanwhile.
        progress: Told of each step.
        tell: Told what an interrupted run left, and what becomes of it.

    Raises:
        EdgeferryError: If the artifact or the device is not known, nothing runs it there, wheels
            cannot be had, or the key is none.
    """
    root = path.stem
    check_archive(output, [f"{root}/model/{file.name}" for file in artifact_files(path)])
    if not output.parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no folder {output.parent}")
    artifact = open_artifact(path)
    check_whole(path, require_contract(artifact))
    plan = _plan(artifact, options)
    signed_by = None if options.sign is None else check_private_key(options.sign)
    with (
        output_lock(output, "bundle", tell),
        open_partial(output, plan.target(), options.resume, tell) as partial,
    ):
        progress("bundling", 0, 2)
        content = dict(plan.gather(partial))
        check_whole(path, require_contract(artifact))  # once more: its digest was taken by now
        progress("bundling", 1, 2)
        digests = read_sums(content[SUMS].read_bytes())
        write_archive(
            output,
            {f"{root}/{name}": file for name, file in content.items()},
            {f"{root}/{name}": digest for name, digest in digests.items()},
        )
        sizes = {name: file.stat().st_size for name, file in sorted(content.items())}
    progress("bundling", 2, 2)
    return BundleReport(output, artifact, plan.about(), sizes, plan.warnings(), signed_by)


def _plan(artifact: Artifact, options: BundleOptions) -> BundlePlan:
    profile = _profile(options.device)
    system = _system(profile, options.python)
    suited = [each for each in runtimes_for(artifact.format) if each in system.installable]
    if options.runtime and options.runtime not in suited:
        system.requirements(options.runtime)  # says why, where it has no wheels
        raise UsageError(
            f"{options.runtime} does not run {artifact.format}; there does: {', '.join(suited)}"
        )
    if not suited:
        raise UsageError(_why_nothing(system, artifact.format))
    return BundlePlan(artifact, profile, system, options.runtime or suited[0], options)


def _profile(name: str) -> Profile:
    known = known_devices().get(name)
    if known is None:
        return profile_named(name)
    if known.profile is None:
        raise UsageError(
            f"nothing is known of the kind of device {name!r}",
            f"edgeferry devices add {name} {known.address} --profile PROFILE --replace",
        )
    return profile_named(known.profile)


def _system(profile: Profile, python: str | None) -> System:
    """The system of a device that has a Python of that version."""
    if python is None:
        return profile.system
    for system in profile.systems:
        if system.python == python:
            return system
    known = ", ".join(str(system.python) for system in profile.systems)
    raise UsageError(f"nothing is pinned for Python {python} on {profile.title}; known: {known}")


def _why_nothing(system: System, model_format: str) -> str:
    reasons = sorted({each.reason for each in system.runtimes if each.reason})
    why = "; ".join(reasons) or "no engine has wheels for it"
    return f"nothing in Python runs {model_format} on {system.title}: {why}"
