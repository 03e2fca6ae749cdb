"""The source's names on the operations of an OpenVINO model, whose front end loses them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from openvino import Model

_ACTIVATIONS = frozenset({"Relu", "Clamp"})


def name_layers(model: Model, graph: Path) -> None:
    """Name weighted operations, and what is fused into them, as in the source; edits the model.

    Operations are found by their kernels: the same values, in whatever layout. Where several
    kernels are alike, by their order.

    Args:
        model: Converted from the graph.
        graph: The frozen TensorFlow graph (``.pb``).
    """
    paths = _paths_by_kernel(graph)
    for op in model.get_ordered_ops():
        kernel = _kernel(op)
        known = paths[_digest(kernel)] if kernel is not None else []
        if known:
            path = known.pop(0)
            op.set_friendly_name(path)
            _name_fused(op, path)


def _paths_by_kernel(graph: Path) -> dict[str, list[str]]:
    """Paths of the weighted operations, in order, by the digest of their kernels."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    nodes = {node.name: node for node in graph_def.node}
    paths: dict[str, list[str]] = defaultdict(list)
    for node in graph_def.node:
        if kind_of(node.op) in WEIGHTED_KINDS:
            kernel = nodes[node.input[1].split(":")[0]]
            if kernel.op == "Const":
                paths[_digest(tf.make_ndarray(kernel.attr["value"].tensor))].append(node.name)
    return paths


def _kernel(op: Any) -> NDArray[Any] | None:
    if kind_of(op.get_type_name()) not in WEIGHTED_KINDS:
        return None
    kernel = op.input_value(1).get_node()
    return kernel.data if kernel.get_type_name() == "Constant" else None


def _digest(kernel: NDArray[Any]) -> str:
    return hashlib.sha256(np.sort(kernel, axis=None).tobytes()).hexdigest()


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
