"""What is in a bundle: every file by its name."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgeferry.app.archive_reader import SIGNATURE, SUMS
from edgeferry.app.partial import Partial
from edgeferry.app.signatures import sign
from edgeferry.artifact import Artifact, artifact_digests, artifact_files, require_contract
from edgeferry.devices.own_wheel import write_own_wheel
from edgeferry.devices.profile import Profile, System
from edgeferry.devices.wheels import PIP, WheelTarget, fetch_pip, fetch_wheels
from edgeferry.exporters.recipes import INT8_S8S8, INT8_U8S8
from edgeferry.files import sha256_of

BUNDLE_SCHEMA = 1
_FETCHED_AT_ONCE = 4
"""Wheels; each takes a pip of its own, which has to start first."""
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
_SIGNED = """
It is signed. With the public key of whoever made it, before anything of it is run, in this folder:

    openssl pkeyutl -verify -pubin -inkey PUB.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
    sha256sum --check --quiet SHA256SUMS

"run.py --key PUB.pem" checks that each time, and that nothing else is here or in "site".
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
        resume: Whether those that an interrupted run had fetched are used again.
        sign: PEM file of the Ed25519 private key to sign with; None does not sign.
    """

    device: str
    runtime: str | None = None
    python: str | None = None
    threads: int | None = None
    settings: Mapping[str, str] | None = None
    offline: bool = False
    resume: bool = False
    sign: Path | None = None


@dataclass(frozen=True)
class BundlePlan:
    """A bundle to be made.

    Attributes:
        artifact: What it carries.
        profile: The kind of device.
        system: What runs on it.
        runtime: The engine.
        options: What was asked for.
    """

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
        """What would suit the device better, and what the signature leaves out."""
        suited = {INT8_U8S8.name: "x86", INT8_S8S8.name: "arm"}
        target = suited.get(require_contract(self.artifact).recipe, self.profile.target)
        told = []
        if target != self.profile.target:
            told = [
                f"{self.artifact.path.name} is quantized for {target} processors; for "
                f"{self.profile.title} export with --targets {self.profile.target}"
            ]
        if self.options.sign is not None and not self.options.offline:
            told.append(
                "what run.py --setup fetches is not signed, so run.py --key refuses it: "
                "with --offline all is"
            )
        return told

    def target(self) -> dict[str, Any]:
        """What the wheels are for."""
        return {"python": self.system.python, "platforms": self.system.platforms}

    def gather(self, partial: Partial) -> Iterator[tuple[str, Path]]:
        """Every file of the bundle by its name; the digests of all others come last.

        Args:
            partial: Takes those that are made and fetched.
        """
        folder = partial.work
        content = {f"model/{file.name}": file for file in artifact_files(self.artifact.path)}
        wheels = self._wheels(partial)
        content |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
        content |= _written(folder, self._texts(wheels[0].name))
        sums = "".join(f"{sha256_of(file)}  {name}\n" for name, file in sorted(content.items()))
        yield from content.items()
        yield from _written(folder, {SUMS: sums}).items()
        if self.options.sign is not None:
            signature = folder / SIGNATURE
            signature.write_bytes(sign(self.options.sign, sums.encode()))
            yield SIGNATURE, signature

    def _requirements(self) -> Sequence[str]:
        return self.system.requirements(self.runtime)

    def _wheels(self, partial: Partial) -> list[Path]:
        """Edgeferry's own wheel, and where there will be no network all others."""
        own = write_own_wheel(partial.work)
        if not self.options.offline:
            return [own]
        target = WheelTarget(str(self.system.python), self.system.platforms)

        def fetched(requirement: str) -> list[Path]:
            return _fetched(
                partial, requirement, lambda folder: fetch_wheels([requirement], target, folder)
            )

        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            wheels = [each for found in pool.map(fetched, self._requirements()) for each in found]
        return [own, *wheels, *_fetched(partial, PIP, lambda folder: [fetch_pip(folder)])]

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
        template = _README if self.options.sign is None else _README + _SIGNED
        return template.format(
            name=self.artifact.path.name,
            title=self.profile.title,
            system=self.system.title,
            python=self.system.python,
            network=_OFFLINE if self.options.offline else _ONLINE,
            artifact=f"model/{self.artifact.path.name}",
            runtime=self.runtime,
        )


def _fetched(
    partial: Partial, requirement: str, fetch: Callable[[Path], Sequence[Path]]
) -> list[Path]:
    """The wheels of a requirement, those that an interrupted run had fetched or new ones."""
    if partial.finished(requirement) is None:
        folder = Path(tempfile.mkdtemp(dir=partial.work))
        partial.finish(requirement, fetch(folder), {})
    return [partial.files / name for name in (partial.finished(requirement) or {})["files"]]


def _written(folder: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return {name: folder / name for name in texts}
