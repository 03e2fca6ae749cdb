"""The source's names on the operations of an OpenVINO model, whose front end loses them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgeferry.exporters.kernels import kernel_traits, matched, source_kernels
from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from openvino import Model

_NUMBERED = re.compile(r"[A-Za-z]+_\d+")
_ACTIVATIONS = frozenset({"Relu", "Clamp"})


def name_layers(model: Model, graph: Path) -> None:
    """Name weighted operations, and what is fused into them, as in the source; edits the model.

    Operations are found by their kernels; others keep the names of their tensors at least.

    Args:
        model: Converted from the graph.
        graph: The frozen TensorFlow graph (``.pb``).
    """
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    ops = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    kernels = {name: kernel for name, op in ops.items() if (kernel := _kernel(op)) is not None}
    found = {name: kernel_traits(kernel) for name, kernel in kernels.items()}
    for name, path in matched(found, source_kernels(graph_def)):
        ops[name].set_friendly_name(path)
        _name_fused(ops[name], path)
    _name_numbered(ops.values())


def _kernel(op: Any) -> NDArray[Any] | None:
    if kind_of(op.get_type_name()) not in WEIGHTED_KINDS:
        return None
    kernel = op.input_value(1).get_node()
    return kernel.data if kernel.get_type_name() == "Constant" else None


def _name_fused(op: Any, path: str) -> None:
    """Name the bias and the activation that alone read what an operation gives."""
    names = {"Add": f"{path}/bias"} | {kind: f"{path}/{kind}" for kind in _ACTIVATIONS}
    readers = [value.get_node() for value in op.output(0).get_target_inputs()]
    while len(readers) == 1 and (kind := readers[0].get_type_name()) in names:
        if kind == "Add" and not _adds_constant(readers[0]):
            return
        readers[0].set_friendly_name(names.pop(kind))
        readers = [value.get_node() for value in readers[0].output(0).get_target_inputs()]


def _name_numbered(ops: Collection[Any]) -> None:
    """Name what is only numbered, as ``Transpose_566``, after the tensor that it gives."""
    taken = {op.get_friendly_name() for op in ops}
    for op in ops:
        given = op.output(0).get_names() if op.get_output_size() == 1 else ()
        name = min(given, default="").removesuffix(":0")
        if name and name not in taken and _NUMBERED.fullmatch(op.get_friendly_name()):
            op.set_friendly_name(name)


def _adds_constant(op: Any) -> bool:
    return any(value.get_node().get_type_name() == "Constant" for value in op.input_values())
