"""One archive with everything that a device needs to predict with an artifact."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgeferry.app.archives import check_archive_name, write_archive
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import (
    Artifact,
    artifact_digests,
    artifact_files,
    open_artifact,
    require_contract,
)
from edgeferry.devices.known import known_devices
from edgeferry.devices.own_wheel import write_own_wheel
from edgeferry.devices.profile import Profile, System, profile_named
from edgeferry.devices.wheels import WheelTarget, fetch_pip, fetch_wheels
from edgeferry.errors import OutputError, UsageError
from edgeferry.exporters.recipes import INT8_S8S8, INT8_U8S8
from edgeferry.files import sha256_of
from edgeferry.progress import Progress, silent
from edgeferry.runtimes.registry import runtimes_for

BUNDLE_SCHEMA = 1
_README = """\
{name} for {title}

    python3 run.py --setup          installs what it needs into the folder "site" beside run.py
    python3 run.py PICTURE...       tells what is on pictures
    python3 run.py --camera         takes a picture and tells what is on it
    python3 run.py --help           tells the rest

It is pinned for Python {python} on {system}. {network}
Nothing outside this folder is changed. In a program of your own, with "site" on its path:

    import edgeferry
    predictor = edgeferry.load("{artifact}", runtime="{runtime}")
"""
_OFFLINE = "Everything is in this folder: no network is needed."
_ONLINE = "The setup fetches packages from the package index that pip is set to."


@dataclass(frozen=True)
class BundleOptions:
    """What goes into a bundle.

    Attributes:
        device: A profile's name, or that of a device of the user's.
        runtime: Engine; None takes the best one with wheels for the device.
        python: Python on the device, e.g. ``3.13``; None is the one of its usual system.
        threads: Threads for one inference; None is what the profile starts with.
        settings: The engine's own settings.
        offline: Whether the wheels of the engine and of all it needs come along.
    """

    device: str
    runtime: str | None = None
    python: str | None = None
    threads: int | None = None
    settings: Mapping[str, str] | None = None
    offline: bool = False


@dataclass(frozen=True)
class BundleReport:
    """A bundle that was written.

    Attributes:
        path: The archive.
        artifact: What it carries.
        about: What it says of itself, as in its ``bundle.json``.
        files: Size in bytes of each file in it, by name.
        warnings: What would suit the device better.
    """

    path: Path
    artifact: Artifact
    about: Mapping[str, Any]
    files: Mapping[str, int]
    warnings: list[str]

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
                "about": dict(self.about),
                "files": dict(self.files),
            },
            "warnings": self.warnings,
        }
        return results_document("bundle", [result], notes)


def bundle(
    path: Path, options: BundleOptions, output: Path, progress: Progress = silent
) -> BundleReport:
    """Write a bundle: the same bytes for the same artifact, options and versions.

    Args:
        path: The artifact.
        options: What goes in.
        output: The archive, ``.tar.gz`` or ``.zip``.
        progress: Told of each step.

    Raises:
        EdgeferryError: If the artifact or the device is not known, nothing runs it there, or
            wheels cannot be had.
    """
    check_archive_name(output)
    if not output.parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no folder {output.parent}")
    artifact = open_artifact(path)
    require_contract(artifact)
    plan = _plan(artifact, options)
    with tempfile.TemporaryDirectory(prefix="edgeferry-") as folder:
        progress("bundling", 0, 2)
        content = dict(plan.gather(Path(folder)))
        progress("bundling", 1, 2)
        root = artifact.path.stem
        write_archive(output, {f"{root}/{name}": file for name, file in content.items()})
        sizes = {name: file.stat().st_size for name, file in sorted(content.items())}
    progress("bundling", 2, 2)
    return BundleReport(output, artifact, plan.about(), sizes, plan.warnings())


def _plan(artifact: Artifact, options: BundleOptions) -> _Plan:
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
    return _Plan(artifact, profile, system, options.runtime or suited[0], options)


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


@dataclass(frozen=True)
class _Plan:
    """A bundle to be made."""

    artifact: Artifact
    profile: Profile
    system: System
    runtime: str
    options: BundleOptions

    def about(self) -> dict[str, Any]:
        """What the bundle says of itself."""
        return {
            "schema": BUNDLE_SCHEMA,
            "device": self.profile.name,
            "system": self.system.name,
            "python": self.system.python,
            "artifact": f"model/{self.artifact.path.name}",
            **artifact_digests(self.artifact.path),
            "runtime": self.runtime,
            "threads": self.options.threads or self.profile.threads,
            "settings": dict(self.options.settings or {}),
            "offline": self.options.offline,
            "requirements": list(self._requirements()),
        }

    def warnings(self) -> list[str]:
        """What would suit the device better."""
        suited = {INT8_U8S8.name: "x86", INT8_S8S8.name: "arm"}
        target = suited.get(require_contract(self.artifact).recipe, self.profile.target)
        if target == self.profile.target:
            return []
        return [
            f"{self.artifact.path.name} is quantized for {target} processors; for "
            f"{self.profile.title} export with --targets {self.profile.target}"
        ]

    def gather(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Every file of the bundle by its name; the digests of all others come last.

        Args:
            folder: For those that are made.
        """
        content = {f"model/{file.name}": file for file in artifact_files(self.artifact.path)}
        wheels = self._wheels(folder / "wheels")
        content |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
        content |= _written(folder, self._texts(wheels[0].name))
        sums = "".join(f"{sha256_of(file)}  {name}\n" for name, file in sorted(content.items()))
        yield from content.items()
        yield from _written(folder, {"SHA256SUMS": sums}).items()

    def _requirements(self) -> Sequence[str]:
        return self.system.requirements(self.runtime)

    def _wheels(self, folder: Path) -> list[Path]:
        """Edgeferry's own wheel, and where there will be no network all others."""
        folder.mkdir()
        own = write_own_wheel(folder)
        if not self.options.offline:
            return [own]
        target = WheelTarget(str(self.system.python), self.system.platforms)
        return [own, *fetch_wheels(self._requirements(), target, folder), fetch_pip(folder)]

    def _texts(self, own_wheel: str) -> dict[str, str]:
        contract = require_contract(self.artifact)
        index = ["--no-index", "--find-links wheels"] if self.options.offline else []
        pins = [*index, "--only-binary :all:", *self._requirements(), f"./wheels/{own_wheel}"]
        texts = {
            "README.txt": self._readme(),
            "bundle.json": json.dumps(self.about(), indent=2, ensure_ascii=False) + "\n",
            "requirements.txt": "".join(f"{line}\n" for line in pins),
            "run.py": files("edgeferry.app").joinpath("bundle_run.py").read_text("utf-8"),
        }
        if contract.labels:
            texts["labels.txt"] = "".join(f"{label}\n" for label in contract.labels)
        return texts

    def _readme(self) -> str:
        return _README.format(
            name=self.artifact.path.name,
            title=self.profile.title,
            system=self.system.title,
            python=self.system.python,
            network=_OFFLINE if self.options.offline else _ONLINE,
            artifact=f"model/{self.artifact.path.name}",
            runtime=self.runtime,
        )


def _written(folder: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return {name: folder / name for name in texts}
