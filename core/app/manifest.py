"""``manifest.json``: what an output folder holds, with digests, and what it was asked to be."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeferry.app.control_data import control_data
from edgeferry.app.export_options import ExportedArtifact, ExportReport
from edgeferry.app.partial import plain
from edgeferry.artifact import artifact_files
from edgeferry.checked import read_json
from edgeferry.contract import Contract
from edgeferry.files import sha256_of

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = 1


def write_manifest(
    path: Path,
    folder: Path,
    contract: Contract,
    report: ExportReport,
    asked: Mapping[str, Any],
) -> None:
    """Write the manifest of a folder of artifacts: no clock and no paths, so reproducible.

    Args:
        path: The file.
        folder: Where the artifacts lie.
        contract: What they have in common, as the fp32 artifact has it.
        report: What was exported.
        asked: What it was made of, and how: options, and digests of files.
    """
    artifacts = [
        {
            "artifact": artifact.path.name,
            "format": artifact.format,
            "precision": artifact.precision,
            "files": [_file_entry(folder / part.name) for part in artifact_files(artifact.path)],
        }
        for artifact in report.artifacts
    ]
    document = {
        "schema": MANIFEST_SCHEMA,
        "asked": dict(asked),
        "contract": contract.to_dict(),
        "artifacts": artifacts,
        "failures": dict(report.failures),
        "warnings": list(report.warnings),
        "control": _without_clock(control_data(report.controlled)),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def is_export_of(folder: Path, asked: Mapping[str, Any]) -> bool:
    """Whether a folder's manifest says that it was asked for this.

    Args:
        folder: It need not be there.
        asked: Some of what was asked for.
    """
    told = _read(folder).get("asked")
    if not isinstance(told, dict):
        return False
    return all(told.get(name) == value for name, value in plain(asked).items())


def read_export(folder: Path, asked: Mapping[str, Any]) -> ExportReport | None:
    """What was exported into a folder; None unless it is whole and was asked to be just this.

    Args:
        folder: With a manifest.
        asked: All that was asked for.
    """
    told = _read(folder)
    if told.get("asked") != plain(asked):
        return None
    try:
        artifacts = tuple(_exported(folder, each) for each in told["artifacts"])
        lost = told["failures"].keys() - {each.path.name for each in artifacts}
        return None if lost else ExportReport(artifacts, told["failures"], tuple(told["warnings"]))
    except (AttributeError, KeyError, OSError, TypeError):  # not whole, or not of our making
        return None


def _read(folder: Path) -> dict[str, Any]:
    try:
        told = read_json((folder / MANIFEST).read_bytes())
        return dict(told) if told["schema"] == MANIFEST_SCHEMA else {}
    except (OSError, KeyError, TypeError, ValueError):
        return {}


def _exported(folder: Path, entry: Mapping[str, Any]) -> ExportedArtifact:
    """An artifact of a manifest, if all its files are as that says.

    Raises:
        KeyError: If one is another.
        OSError: If one is missing.
    """
    for file in entry["files"]:
        if _file_entry(folder / file["file"]) != file:
            raise KeyError(file["file"])
    size = sum(file["size_bytes"] for file in entry["files"])
    path = folder / entry["artifact"]
    return ExportedArtifact(path, entry["format"], entry["precision"], size, None)


def _without_clock(control: dict[str, Any]) -> dict[str, Any]:
    for each in control.values():
        for attempt in each["attempts"]:
            del attempt["seconds"]
    return control


def _file_entry(path: Path) -> dict[str, object]:
    return {"file": path.name, "size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
