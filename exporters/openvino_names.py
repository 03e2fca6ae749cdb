"""The source's names on the operations of an OpenVINO model, whose front end loses them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from openvino import Model

_ACTIVATIONS = frozenset({"Relu", "Clamp"})


Traits = tuple[str, tuple[int, ...]]
"""What a kernel is known by in any layout: digest of its sorted values, sorted dimensions."""


def name_layers(model: Model, graph: Path) -> None:
    """Name weighted operations, and what is fused into them, as in the source; edits the model.

    Operations are found by their kernels: the same values, in whatever layout, or the same
    dimensions where the front end scaled them. Where several are alike, by their order.

    Args:
        model: Converted from the graph.
        graph: The frozen TensorFlow graph (``.pb``).
    """
    ops = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    kernels = {name: kernel for name, op in ops.items() if (kernel := _kernel(op)) is not None}
    found = {name: _traits(kernel) for name, kernel in kernels.items()}
    for name, path in _pairs(found, _source_kernels(graph)):
        ops[name].set_friendly_name(path)
        _name_fused(ops[name], path)


def _pairs(found: dict[str, Traits], known: dict[str, Traits]) -> Iterator[tuple[str, str]]:
    """Names in one with the names in the other that share a trait, the surest first."""
    for trait in (0, 1):
        waiting: dict[Any, list[str]] = defaultdict(list)
        for path, traits in known.items():
            waiting[traits[trait]].append(path)
        for name in list(found):
            if same := waiting[found[name][trait]]:
                path = same.pop(0)
                del found[name], known[path]
                yield name, path


def _source_kernels(graph: Path) -> dict[str, Traits]:
    """The kernels of the source's weighted operations, by path, in order."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    nodes = {node.name: node for node in graph_def.node}
    kernels = {
        node.name: nodes[node.input[1].split(":")[0]]
        for node in graph_def.node
        if kind_of(node.op) in WEIGHTED_KINDS
    }
    return {
        path: _traits(tf.make_ndarray(kernel.attr["value"].tensor))
        for path, kernel in kernels.items()
        if kernel.op == "Const"
    }


def _kernel(op: Any) -> NDArray[Any] | None:
    if kind_of(op.get_type_name()) not in WEIGHTED_KINDS:
        return None
    kernel = op.input_value(1).get_node()
    return kernel.data if kernel.get_type_name() == "Constant" else None


def _traits(kernel: NDArray[Any]) -> Traits:
    digest = hashlib.sha256(np.sort(kernel, axis=None).tobytes()).hexdigest()
    return digest, tuple(sorted(size for size in kernel.shape if size > 1))


def _name_fused(op: Any, path: str) -> None:
    """Name the bias and the activation that alone read what an operation gives."""
    names = {"Add": f"{path}/bias"} | {kind: f"{path}/{kind}" for kind in _ACTIVATIONS}
    readers = [value.get_node() for value in op.output(0).get_target_inputs()]
    while len(readers) == 1 and (kind := readers[0].get_type_name()) in names:
        if kind == "Add" and not _adds_constant(readers[0]):
            return
        readers[0].set_friendly_name(names.pop(kind))
        readers = [value.get_node() for value in readers[0].output(0).get_target_inputs()]


def _adds_constant(op: Any) -> bool:
    return any(value.get_node().get_type_name() == "Constant" for value in op.input_values())
