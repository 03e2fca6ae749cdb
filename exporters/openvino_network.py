"""An OpenVINO model as a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgeferry.exporters.network import Network, Node
from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from openvino import Model

_ENDS = frozenset({"Parameter", "Result"})
_KINDS = {"Clamp": "Clip"}


def openvino_network(model: Model) -> Network:
    """The operations of a float OpenVINO model, by their friendly names.

    Args:
        model: With the source's names on its weighted operations.
    """
    return Network(list(_nodes(model)))


def tensor_name(output: Any) -> str:
    """What a tensor is called here: after the operation that gives it."""
    name, index = output.get_node().get_friendly_name(), output.get_index()
    return f"{name}:{index}" if index else str(name)


def _nodes(model: Model) -> Iterator[Node]:
    constants: set[str] = set()
    for op in model.get_ordered_ops():
        name, type_name = op.get_friendly_name(), op.get_type_name()
        if type_name in _ENDS:
            continue
        sources = [tensor_name(value) for value in op.input_values()]
        computed = tuple(each for each in sources if each not in constants)
        if not computed:
            constants.add(name)
            continue
        kind = _KINDS.get(type_name, kind_of(type_name))
        path = name if kind in WEIGHTED_KINDS else ""
        fed = len(sources) > len(computed)
        yield Node(name, "Bias" if kind == "Add" and fed else kind, computed, name, path)
