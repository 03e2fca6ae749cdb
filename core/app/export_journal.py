"""What the journal of an export holds: what was asked for, and what is known of each artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgeferry.app.accuracy_control import Attempt
from edgeferry.app.digests import pictures_digest
from edgeferry.app.export_options import ControlReport, ExportOptions
from edgeferry.app.journal import result_from
from edgeferry.artifact import format_of, read_contract
from edgeferry.calibration.store import CalibrationSet
from edgeferry.contract import Contract
from edgeferry.errors import UsageError
from edgeferry.exporters.recipes import Recipe
from edgeferry.pictures import find_pictures

_FILES_AND_MEANS = ("calibration", "labels", "validation", "jobs", "force", "resume", "scheduler")
"""Options that change no byte, or name files, which are known by their digests."""


@dataclass(frozen=True)
class ArtifactFacts:
    """What is known of a finished artifact beside its files.

    Attributes:
        seconds: Time its export took.
        movement: How ranges moved, of its format; empty where no ranges were found.
        control: What accuracy control tried; None where there was none.
        warnings: What the user should know of the validation pictures.
    """

    seconds: float
    movement: Mapping[str, Any]
    control: ControlReport | None = None
    warnings: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        control = self.control and _control_data(self.control)
        return {**vars(self), "control": control, "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ArtifactFacts:
        """The facts from what ``to_dict`` gave; other keys beside it are left alone."""
        told = {name: data[name] for name in ("seconds", "movement", "warnings")}
        return cls(**told, control=data["control"] and _control_report(data["control"]))


def asked_options(options: ExportOptions) -> dict[str, Any]:
    """The options that artifacts depend on, as plain data."""
    asked = asdict(options)
    for name in _FILES_AND_MEANS:
        del asked[name]
    return asked


def asked_files(
    contract: Contract,
    options: ExportOptions,
    calibration: CalibrationSet | None,
    validation: CalibrationSet | None,
) -> dict[str, Any]:
    """The digests of what an export is made of.

    Args:
        contract: Of the prepared source.
        options: What to export, and how.
        calibration: The calibration pictures, decoded.
        validation: Some of the validation pictures, decoded.
    """
    labels = None if contract.labels is None else json.dumps(contract.labels).encode()
    judged = options.validation if options.max_accuracy_drop is not None else None
    return {
        "model": contract.source.name,
        "model sha256": contract.source.sha256,
        "labels sha256": labels and hashlib.sha256(labels).hexdigest(),
        "calibration sha256": calibration and calibration.sha256,
        "validation sha256": validation and validation.sha256,
        "judged pictures sha256": judged and pictures_digest(find_pictures(judged)),
    }


def check_tools(artifacts: Iterable[Path]) -> None:
    """See that artifacts which shall be kept were made by the versions that are installed.

    Args:
        artifacts: Files; what else is among them is passed over.

    Raises:
        UsageError: If one was not.
    """
    for path in artifacts:
        if format_of(path) is None:  # the manifest
            continue
        for package, was in read_contract(path).versions.items():
            if (now := _installed(package)) != was:
                raise UsageError(
                    f"{path.name} was made with {package} {was}; {now or 'none'} is installed now",
                    "Begin anew, without --resume",
                )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _control_data(report: ControlReport) -> dict[str, Any]:
    return {
        "attempts": [_attempt_data(attempt) for attempt in report.attempts],
        "chosen": report.attempts.index(report.chosen),
        "sensitive": list(report.sensitive),
        "failures": list(report.failures),
        "failure": report.failure,
    }


def _control_report(data: Mapping[str, Any]) -> ControlReport:
    attempts = tuple(_attempt(each) for each in data["attempts"])
    return ControlReport(
        attempts,
        attempts[data["chosen"]],
        tuple(data["sensitive"]),
        tuple(data["failures"]),
        data["failure"],
    )


def _attempt_data(attempt: Attempt) -> dict[str, Any]:
    recipe, result = asdict(attempt.recipe), attempt.result.to_dict()
    return {**vars(attempt), "recipe": recipe, "result": result, "path": attempt.path.name}


def _attempt(data: Mapping[str, Any]) -> Attempt:
    recipe, result = Recipe.from_dict(data["recipe"]), result_from(data["result"])
    return Attempt(**{**data, "recipe": recipe, "result": result, "path": Path(data["path"])})
