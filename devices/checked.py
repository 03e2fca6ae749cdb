"""What devices tell, which may be anything."""

from __future__ import annotations

from typing import Any

from edgeferry.checked import several, text, whole_number


def machine(value: Any) -> dict[str, Any]:
    """Facts of a machine, as ``machine_facts`` names them; what is something else is not told.

    Raises:
        ValueError: If they are no facts at all.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} are no facts")
    isa, packages = value.get("isa"), value.get("packages")
    known = dict(value)
    if not isinstance(isa, list) or not all(isinstance(each, str) for each in isa):
        known["isa"] = None
    versions = packages.values() if isinstance(packages, dict) else (0,)
    if not all(each is None or isinstance(each, str) for each in versions):
        known["packages"] = None
    return known


def nanoseconds(value: Any, least: int) -> tuple[int, ...]:
    """Timings, each above 0.

    Args:
        value: What should be a list of them.
        least: How many there are at least.

    Raises:
        ValueError: If one is none, or there are too few.
    """
    return several(value, lambda each: whole_number(each, 1), least)


def operations(value: Any) -> list[dict[str, Any]] | None:
    """Operations of an executed graph, counted; None where they are not told.

    Raises:
        ValueError: If they are something else.
    """
    return None if value is None else list(several(value, _operation))


def _operation(value: Any) -> dict[str, Any]:
    return {
        "op": text(value["op"]),
        "precision": text(value["precision"]),
        "fused": bool(value["fused"]),
        "count": whole_number(value["count"]),
    }
