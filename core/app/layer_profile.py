"""Times of layers under the names that the layers have in the Keras model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgeferry.operations import WEIGHTED_KINDS

if TYPE_CHECKING:
    from edgeferry.app.results import Result
    from edgeferry.artifact import Artifact
    from edgeferry.devices.layer_timing import LayerTiming
    from edgeferry.exporters.network import Network, Node

_INSERTED = re.compile(r"^Inserted\w*?Cast_")
"""What ONNX Runtime puts before names where it computes half precision in float."""
_SOURCE = "net/"
"""Where the names begin that come from the source model."""


def engine_profile(timing: LayerTiming) -> dict[str, Any]:
    """What an engine told, under its own names.

    Args:
        timing: As a worker told it.
    """
    whole = sum(layer.microseconds for layer in timing.layers)
    rows = [
        {
            "layer": layer.name,
            "name": layer.name,
            "type": layer.type,
            "kind": layer.kind,
            "precision": layer.precision,
            "originals": list(layer.originals),
            "ms": layer.microseconds / 1000,
            "share": 100 * layer.microseconds / whole if whole else 0.0,
            **_products(layer.multiply_accumulates, layer.microseconds / 1000),
        }
        for layer in timing.layers
    ]
    return {
        "profiler": timing.profiler,
        "runs": timing.runs,
        "problem": timing.problem or None,
        "named": False,
        "sum_ms": whole / 1000,
        "multiply_accumulates": None,
        "layers": rows,
    }


def with_layer_names(artifact: Artifact, result: Result) -> Result:
    """A result whose profile has the names of Keras layers, and what each computes.

    Multiply-accumulates are those of the file where the engine does not tell what it ran.

    Args:
        artifact: The artifact, whose file holds the layers' names.
        result: What was measured of it.

    Returns:
        The same where there is no profile, or the package that reads the format is not installed.
    """
    from edgeferry.exporters.artifact_network import artifact_network

    profile = result.extra.get("profile")
    if not profile or profile["named"]:
        return result
    try:
        names = LayerNames(artifact_network(artifact.path, artifact.format))
    except ImportError:
        return result
    named = {
        **profile,
        "named": True,
        "multiply_accumulates": names.multiply_accumulates,
        "layers": [{**row, **names.told(row)} for row in profile["layers"]],
    }
    return replace(result, extra={**result.extra, "profile": named})


class LayerNames:
    """Finds the layers that an engine's operations belong to.

    Args:
        network: The artifact's.

    Attributes:
        multiply_accumulates: Of one inference, as the file has them.
    """

    def __init__(self, network: Network) -> None:
        layers = network.layers()
        products = [layer.multiply_accumulates for layer in layers]
        self.multiply_accumulates = sum(each for each in products if each is not None) or None
        self._known: dict[str, tuple[str, int | None]] = {}
        for node in network.nodes:
            self._known |= dict.fromkeys((node.output, node.name), (source_layer(node), None))
        for layer in layers:
            told = (layer.name, layer.multiply_accumulates)
            self._known |= dict.fromkeys(layer.parts, told)

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of an engine's operation, for its row of the profile."""
        candidates: Sequence[str] = row["originals"] or [row["name"]]
        found = next(filter(None, map(self._find, candidates)), None)
        if found is None:
            return {}
        layer, products = found
        own = row["multiply_accumulates"]
        if own is None and row["kind"] in WEIGHTED_KINDS:
            own = products
        return {"layer": layer, **_products(own, row["ms"])}

    def layer(self, name: str) -> str | None:
        """The layer that an engine's operation belongs to; None where that is not known."""
        found = self._find(name)
        return found[0] if found else None

    def _find(self, name: str) -> tuple[str, int | None] | None:
        """A name, or the longest known one that an engine put something behind."""
        return next((self._known[each] for each in _beginnings(name) if each in self._known), None)


def _beginnings(name: str) -> Iterator[str]:
    name = _INSERTED.sub("", name)
    yield name
    for end in range(len(name) - 1, 0, -1):
        if not name[end].isalnum():
            yield name[:end]


def source_layer(node: Node) -> str:
    """The source's layer of an operation without weights; its own name where it has none."""
    from edgeferry.exporters.network import scope_of

    paths = [path for path in node.name.split(";") if path.startswith(_SOURCE)]
    alike = (path for path in paths if node.kind.lower() in path.rpartition("/")[2].lower())
    path = next(alike, paths[0] if paths else "")
    return scope_of(path).rpartition("/")[2] or node.name


def _products(multiply_accumulates: int | None, milliseconds: float) -> dict[str, Any]:
    known = multiply_accumulates is not None and milliseconds > 0
    rate = (multiply_accumulates or 0) / milliseconds / 1e6 if known else None
    return {"multiply_accumulates": multiply_accumulates, "gmac_per_s": rate}
