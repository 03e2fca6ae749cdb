"""The names of Keras layers, given back to the operations of a traced graph.

Tracing puts a number behind each name (``conv1_conv_1/convolution``), so that nobody finds his
layers again. Every format takes its names from this graph, and so every tool shows the user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgeferry.exporters.graph import Graph, node_name

_NUMBERED = re.compile(r"(.+)_\d+")


def layer_names(keras_model: Any) -> set[str]:
    """The names of a Keras model and of all its layers, nested ones too."""
    return {layer.name for layer in keras_model._flatten_layers()}


def restore_names(graph: Graph, known: Iterable[str]) -> dict[str, str]:
    """Rename the nodes of a graph after the layers that they belong to; edits the graph.

    A layer that is called several times keeps the numbers behind its later calls.

    Args:
        graph: The traced graph.
        known: Names of the layers.

    Returns:
        New names by old ones.
    """
    original = _originals(graph, frozenset(known))
    renamed: dict[str, str] = {}
    taken = set(graph.nodes)
    for name in graph.nodes:
        wanted = "/".join(original.get(part, part) for part in name.split("/"))
        if wanted not in taken:
            renamed[name] = wanted
            taken.add(wanted)
    _rename(graph, renamed)
    return renamed


def _originals(graph: Graph, known: frozenset[str]) -> dict[str, str]:
    """Layer names by the scopes that stand for them."""
    parts = {part for name in graph.nodes for part in name.split("/")}
    bare = {part: match[1] for part in parts if (match := _NUMBERED.fullmatch(part))}
    numbered = {part for part, name in bare.items() if name in known}
    sure = len(numbered - known)
    if sure < len((parts & known) - numbered):
        numbered -= known  # here a number belongs to the layer's own name
    return {part: bare[part] for part in numbered}


def _rename(graph: Graph, renamed: Mapping[str, str]) -> None:
    for node in graph.nodes.values():
        node.name = renamed.get(node.name, node.name)
        node.input[:] = [_renamed_input(name, renamed) for name in node.input]
    graph.nodes = {node.name: node for node in graph.nodes.values()}
    graph.outputs = [renamed.get(output, output) for output in graph.outputs]


def _renamed_input(name: str, renamed: Mapping[str, str]) -> str:
    old = node_name(name)
    return name.replace(old, renamed[old], 1) if old in renamed else name
