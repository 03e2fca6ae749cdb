"""An output folder, held to its ``manifest.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeferry.app.manifest import MANIFEST
from edgeferry.artifact import artifact_files
from edgeferry.errors import ArtifactError
from edgeferry.files import sha256_of
from edgeferry.sealing import is_digest

_LARGEST = 64 << 20
"""Bytes of a manifest; the contract in it may have 16 MiB."""
FileEntry = Mapping[str, Any]
"""``file``, ``size_bytes`` and ``sha256``."""


def read_entries(folder: Path) -> dict[str, Sequence[FileEntry]]:
    """The files of each artifact that a folder should hold, by the artifact's name.

    Raises:
        ArtifactError: If the manifest is damaged.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ArtifactError(f"{folder / MANIFEST} is too large")
        return dict(map(_artifact, json.loads(content)["artifacts"]))
    except ArtifactError:
        raise
    except Exception as error:  # it may hold anything
        raise ArtifactError(f"{folder / MANIFEST} is damaged: {error!r:.80}") from error


def check_entry(folder: Path, entry: FileEntry) -> str:
    """What is wrong with a file of a folder; empty where nothing is."""
    path = folder / entry["file"]
    try:
        if not path.is_file():
            return f"{path.name} is missing"
        if path.stat().st_size != entry["size_bytes"] or sha256_of(path) != entry["sha256"]:
            return f"{path.name} was changed or damaged since it was exported"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror or error}"
    return ""


def _artifact(told: Any) -> tuple[str, Sequence[FileEntry]]:
    """An artifact with just the files that belong to it."""
    name, files = _plain(told["artifact"]), [_entry(each) for each in told["files"]]
    wanted = sorted(file.name for file in artifact_files(Path(name)))
    if sorted(each["file"] for each in files) != wanted:
        raise ValueError(f"other files than {', '.join(wanted)}")
    return name, files


def _entry(told: Any) -> FileEntry:
    if type(told["size_bytes"]) is not int or not is_digest(told["sha256"]):
        raise ValueError("a file without size or digest")
    return {**told, "file": _plain(told["file"])}


def _plain(name: Any) -> str:
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"no file name: {name!r:.40}")
    return name
