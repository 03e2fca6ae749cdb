"""Results files, read again and put together: one row for each artifact on each device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.journal import result_from
from edgeferry.app.results import RESULTS_SCHEMA, Result, completed
from edgeferry.app.results_check import read_results
from edgeferry.errors import UsageError

_SHOWN = ("benchmark", "demo", "evaluate", "export", "debug")
"""Commands whose results make a report; figures of the first ones win."""


@dataclass(frozen=True)
class Document:
    """What one run wrote.

    Attributes:
        path: Where it was read from.
        command: Name of the command.
        version: Of edgeferry.
        arguments: What stood behind ``edgeferry``; empty where an older version wrote it.
        results: One per artifact, and per device.
        data: Everything.
    """

    path: Path
    command: str
    version: str
    arguments: tuple[str, ...]
    results: tuple[Result, ...]
    data: Mapping[str, Any]


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """Read results files.

    Raises:
        UsageError: If one cannot be read, or holds nothing that a report shows.
    """
    return [_read(path) for path in paths]


def _read(path: Path) -> Document:
    try:
        data = read_results(path)
        tool = data["tool"]
        if data["schema"] != RESULTS_SCHEMA or tool["name"] != "edgeferry":
            raise ValueError(f"it is of schema {data['schema']} of {tool['name']}")
        if tool["command"] not in _SHOWN:
            raise ValueError(f"it is of {tool['command']}, which a report does not show")
        results = tuple(map(result_from, data["results"]))
        arguments = tuple(map(str, tool.get("arguments", ())))
        return Document(path, tool["command"], str(tool["version"]), arguments, results, data)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} is not what a report is made of: {error}",
            f"Give what --json wrote of {', '.join(sorted(_SHOWN))}",
        ) from error


def merged_results(documents: Sequence[Document]) -> list[Result]:
    """One result for each artifact, on each device where it was measured.

    What evaluation and export found of a file is put to each of its measurements. A file is told
    by its digest; where a run did not write one, by its name.

    Args:
        documents: What the runs wrote.
    """
    ordered = sorted(documents, key=lambda each: _SHOWN.index(each.command))
    rows: list[Result] = []
    for document in ordered:
        for result in document.results:
            same = [index for index, row in enumerate(rows) if _is_same(row, result)]
            for index in same:
                rows[index] = completed(rows[index], result)
            if not same:
                rows.append(result)
    return rows


def _is_same(row: Result, result: Result) -> bool:
    if row.artifact != result.artifact:
        return False
    one, other = row.extra.get("sha256"), result.extra.get("sha256")
    devices = row.extra.get("device"), result.extra.get("device")
    if None not in devices and devices[0] != devices[1]:
        return False
    return one is None or other is None or one == other


def of_command(documents: Sequence[Document], *commands: str) -> Iterator[Document]:
    """The documents of some commands, in the order given."""
    return (each for each in documents if each.command in commands)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the parts at their beginning that all of them share.

    Args:
        names: File names, e.g. ``net.int8.onnx``.
    """
    parts = {name: name.split(".") for name in names}
    most = min(len(each) for each in parts.values()) - 1
    shared = 0
    while shared < most and len({each[shared] for each in parts.values()}) == 1:
        shared += 1
    return {name: ".".join(each[shared:]) for name, each in parts.items()}
