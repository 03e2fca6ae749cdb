"""An OpenVINO model as a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgeferry.exporters.network import Network, Node
from edgeferry.operations import WEIGHTED_KINDS, kind_of, multiply_accumulates

if TYPE_CHECKING:
    from openvino import Model

_ENDS = frozenset({"Parameter", "Result"})
_KINDS = {"Clamp": "Clip"}


def openvino_network(model: Model) -> Network:
    """The operations of an OpenVINO model, by their friendly names.

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
        weighted = kind in WEIGHTED_KINDS
        products = _products(op, kind) if weighted and sources[1] in constants else None
        fed = len(sources) > len(computed)
        kind = "Bias" if kind == "Add" and fed else kind
        path = name if weighted else ""
        yield Node(name, kind, computed, name, path, products, _extent(op))


def _products(op: Any, kind: str) -> int | None:
    """Multiply-accumulates; a batch of any size counts as one picture."""
    kernel, output = op.input(1).get_partial_shape(), op.output(0).get_partial_shape()
    if kernel.is_dynamic or output.rank.is_dynamic or any(size.is_dynamic for size in output[1:]):
        return None
    sizes = [1 if output[0].is_dynamic else output[0].get_length()]
    sizes += [size.get_length() for size in output[1:]]
    return multiply_accumulates(list(kernel.to_shape()), sizes, -1 if kind == "MatMul" else 1)


def _extent(op: Any) -> tuple[int, int] | None:
    """Of ``[N, channels, height, width]``."""
    shape = op.output(0).get_partial_shape()
    if shape.rank.is_dynamic or shape.rank.get_length() != 4:
        return None
    if shape[2].is_dynamic or shape[3].is_dynamic:
        return None
    return shape[2].get_length(), shape[3].get_length()
