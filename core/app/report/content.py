"""What a report says, whatever it is written as."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeferry.app.known_accuracy import AccuracyTable
from edgeferry.app.report.documents import Document, merged_results, of_command
from edgeferry.app.results import Result

_FACTS = {
    "board": "board",
    "processor": "processor",
    "architecture": "architecture",
    "physical_cores": "cores",
    "memory_mb": "memory, MB",
    "system": "system",
    "governor": "governor",
    "python": "Python",
}


@dataclass(frozen=True)
class Content:
    """A report.

    Attributes:
        title: Its heading.
        verdicts: What to do, in plain words.
        results: One for each artifact on each device.
        devices: Facts of each by its name.
        commands: How to get it all again.
        notes: Warnings and failures of the runs.
        sources: The files it was made of.
    """

    title: str
    verdicts: tuple[str, ...]
    results: tuple[Result, ...]
    devices: Mapping[str, Mapping[str, str]]
    commands: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]


def content(documents: Sequence[Document], title: str | None) -> Content:
    """Put together what a report says.

    Args:
        documents: What the runs wrote.
        title: Its heading; None names the artifacts.
    """
    results = merged_results(documents)
    return Content(
        title=title or _title(results),
        verdicts=tuple(_verdicts(documents)),
        results=tuple(results),
        devices={
            device["name"]: _facts(device)
            for document in of_command(documents, "benchmark")
            for device in document.data["devices"]
        },
        commands=tuple(
            f"edgeferry {shlex.join(each.arguments)}" for each in documents if each.arguments
        ),
        notes=tuple(dict.fromkeys(note for each in documents for note in _notes(each))),
        sources=tuple(
            f"{each.path.name}: edgeferry {each.version} {each.command}" for each in documents
        ),
    )


def _title(results: Sequence[Result]) -> str:
    names = dict.fromkeys(each.artifact.split(".")[0] for each in results)
    return ", ".join(names) or "edgeferry"


def _verdicts(documents: Sequence[Document]) -> list[str]:
    """Those of the benchmarks; without any, what int8 costs in accuracy."""
    found = [
        verdict["sentence"]
        for document in of_command(documents, "benchmark", "demo")
        for verdict in document.data.get("verdicts", ())
    ]
    return found or [
        f"{result.artifact}: {accuracy}."
        for document in of_command(documents, "evaluate")
        for result in document.results
        if result.precision == "int8" and result.extra.get("sha256")
        if (accuracy := AccuracyTable(document.data).find(result)) is not None
    ]


def _facts(device: Mapping[str, Any]) -> dict[str, str]:
    told: Mapping[str, Any] = next((each["before"] or {} for each in device["facts"]), {})
    named = {title: str(told[key]) for key, title in _FACTS.items() if told.get(key)}
    packages = told.get("packages") or {}
    installed = [f"{name} {version}" for name, version in packages.items() if version]
    own = {"address": device["address"], "profile": device["profile"] or ""}
    emulated = (
        {"emulated": "yes: its times say nothing of a real one"} if device["emulated"] else {}
    )
    return (
        {key: value for key, value in own.items() if value}
        | named
        | emulated
        | ({"packages": ", ".join(installed)} if installed else {})
    )


def _notes(document: Document) -> list[str]:
    failures = document.data.get("failures") or {}
    failed = [f"{name} failed: {problem}" for name, problem in failures.items()]
    marked = [
        f"{result.artifact}: {mark['text']}"
        for result in document.results
        for mark in result.extra.get("marks") or ()
    ]
    return [*map(str, document.data.get("warnings") or ()), *failed, *marked]
