"""``manifest.json``: what an output folder holds, with digests."""

import json
from pathlib import Path
from typing import Any

from edgeferry.app.control_data import control_data
from edgeferry.app.export_options import ExportReport
from edgeferry.artifact import artifact_files
from edgeferry.contract import Contract
from edgeferry.files import sha256_of

MANIFEST_SCHEMA = 1


def write_manifest(folder: Path, contract: Contract, report: ExportReport) -> None:
    """Write the manifest of a folder of artifacts: no clock and no paths, so reproducible.

    Args:
        folder: Where the artifacts lie.
        contract: What they have in common, as the fp32 artifact has it.
        report: What was exported.
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
        "contract": contract.to_dict(),
        "artifacts": artifacts,
        "failures": dict(report.failures),
        "warnings": list(report.warnings),
        "control": _without_clock(control_data(report.controlled)),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def _without_clock(control: dict[str, Any]) -> dict[str, Any]:
    for each in control.values():
        for attempt in each["attempts"]:
            del attempt["seconds"]
    return control


def _file_entry(path: Path) -> dict[str, object]:
    return {"file": path.name, "size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
