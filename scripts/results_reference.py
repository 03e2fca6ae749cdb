"""Every key that ``--json`` writes, as Markdown, from the JSON Schema and docstrings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from griffe import Docstring, DocstringSectionKind

from edgeferry.app.results import Result, results_schema

Schema = Mapping[str, Any]
SCHEMA = results_schema()


def results_reference() -> str:
    """A table of the common keys, then one for each command that adds its own."""
    whole = {**SCHEMA, "properties": {**SCHEMA["properties"], "results": {"type": "array"}}}
    parts = ["## Every command", _table(_keys(whole, ""))]
    parts += ["## Every result", _table(_keys(SCHEMA["$defs"]["result"], "", described()))]
    for name, schema in SCHEMA["$defs"].items():
        if name.startswith("when_"):
            own = _table(_keys(schema["then"], ""))
            parts += [f"## `{name.removeprefix('when_')}`", own]
    return "\n\n".join(parts) + "\n"


def described() -> dict[str, str]:
    """What the docstring of ``Result`` says of each key."""
    sections = Docstring(Result.__doc__ or "", parser="google").parse()
    attributes = next(each for each in sections if each.kind is DocstringSectionKind.attributes)
    texts = {each.name: " ".join(each.description.split()) for each in attributes.value}
    return {name: text.replace("``", "`") for name, text in texts.items()}


def _table(rows: Iterable[str]) -> str:
    return "\n".join(["| key | type | |", "|---|---|---|", *rows])


def _keys(above: Schema, path: str, told: Mapping[str, str] | None = None) -> Iterator[str]:
    """A row for each key, and for the keys below it, e.g. ``verdicts[].ship``."""
    named: Schema = {key: {} for key in above.get("required", ())}
    for key, given in {**named, **above.get("properties", {})}.items():
        schema, here = _resolved(given), path + key
        text = (told or {}).get(key) or given.get("description") or schema.get("description", "")
        kind = _type(given)
        if kind or text or not given:  # else it only leads to keys below it
            yield f"| `{here}` | {kind} | {text} |"
        while "items" in schema:
            schema, here = _resolved(schema["items"]), f"{here}[]"
        yield from _keys(schema, f"{here}.")


def _resolved(schema: Schema) -> Schema:
    """What a reference stands for, and of several choices the one that is not null."""
    if "anyOf" in schema:
        return _resolved(next(each for each in schema["anyOf"] if each != {"type": "null"}))
    if "$ref" not in schema:
        return schema
    target = _resolved(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    properties = {**target.get("properties", {}), **schema.get("properties", {})}
    return {**target, **schema, "properties": properties} if properties else {**target}


def _type(schema: Schema) -> str:
    if schema.get("$ref") == "#/$defs/percent":
        return "percent or null"
    optional = " or null" if {"type": "null"} in schema.get("anyOf", ()) else ""
    schema = _resolved(schema)
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if values:
        return ", ".join("null" if each is None else f"`{each}`" for each in values)
    kinds = schema.get("type", "")
    return (kinds if isinstance(kinds, str) else " or ".join(kinds)) + optional


if __name__ == "__main__":
    print(results_reference())
