"""Results documents from elsewhere, held to the JSON Schema that ships."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeferry.app.results import RESULTS_SCHEMA, results_schema
from edgeferry.checked import read_json
from edgeferry.errors import UsageError
from edgeferry.registry import is_installed, missing_dependency

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_SHOWN = 200
"""Characters of a value that an error shows."""


def read_results(path: Path, whole: bool = False) -> Any:
    """Read a results document.

    Args:
        path: What ``--json`` wrote.
        whole: Whether it must have everything that this version writes, and nothing else; what
            an older or newer one wrote may differ.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, or something in it is of another kind than it should be.
        UsageError: If it is of a newer schema.
        MissingDependencyError: If ``jsonschema`` is not installed.
    """
    document = read_json(path.read_text(encoding="utf-8"))
    _refuse_newer(document, path)
    for error in _validator(whole).iter_errors(document):
        where = ", ".join(map(str, error.absolute_path)) or "the document"
        raise ValueError(f"{where}: {error.message:.{_SHOWN}}")
    return document


def _refuse_newer(document: Any, path: Path) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is int and schema > RESULTS_SCHEMA:
        raise UsageError(
            f"{path} has results of schema {schema!r:.40}; this edgeferry reads {RESULTS_SCHEMA}",
            "Read it with the edgeferry that wrote it",
        )


@cache
def _validator(whole: bool) -> Validator:
    if not is_installed("jsonschema"):
        raise missing_dependency("reading results", ("jsonschema",), "cli")
    from jsonschema import Draft202012Validator, validators

    # JSON Schema takes 1.0 for an integer too; what counts or indexes by it would not.
    kinds = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole_number)
    lenient = {"required": _anything, "additionalProperties": _others}
    extend: Callable[..., type[Validator]] = validators.extend
    own = extend(Draft202012Validator, {} if whole else lenient, type_checker=kinds)
    return own(results_schema())


def _is_whole_number(_checker: object, value: object) -> bool:
    return type(value) is int


def _anything(*_: object) -> None:
    """A keyword that refuses nothing."""


def _others(
    validator: Any, told: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[Any] | None:
    """Further keys may be there, of the kind that the schema tells if it tells one."""
    from jsonschema import Draft202012Validator

    usual = Draft202012Validator.VALIDATORS["additionalProperties"]
    found: Iterator[Any] | None = None if told is False else usual(validator, told, value, schema)
    return found
