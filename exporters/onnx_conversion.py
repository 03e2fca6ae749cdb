"""TensorFlow graph to ONNX by tf2onnx, with the large weights kept out of its way.

tf2onnx copies the whole graph for each of its optimizer passes: 20 s and 8 GB for a ResNet50.
So the convolution kernels go through as inputs, and are put back, transposed, afterwards; so do
the kernels of large matrix products, with which a VGG19 took more than 23 GB.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.exporters.graph import KERNEL, Array
from edgeferry.exporters.onnx_names import name_merged
from edgeferry.exporters.onnx_padding import fold_padding

if TYPE_CHECKING:
    from onnx import ModelProto
    from tensorflow import GraphDef

OPSET = 17
"""Old enough for every engine on the devices, new enough for per-channel QDQ."""


_LARGE = 1 << 22
"""Values of a matrix product's kernel from which on it is kept out of the way."""


def convert(graph: Path, contract: Contract) -> ModelProto:
    """Convert a frozen graph to ONNX, its tensors named as the contract says, shapes inferred.

    Args:
        graph: The frozen TensorFlow graph (``.pb``).
        contract: Names its input and outputs.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    graph_def = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    kernels = _take_kernels(graph_def)
    model, _ = tf2onnx.convert.from_graph_def(
        graph_def,
        input_names=[f"{INPUT_NAME}:0", *kernels],
        output_names=[f"{name}:0" for name in contract.output_names],
        opset=OPSET,
    )
    _put_kernels_back(model, kernels)
    for name in (INPUT_NAME, *contract.output_names):
        _rename(model, f"{name}:0", name)
    _name_after_kernels(model)
    name_merged(model, graph_def)
    fold_padding(model)
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model)


def _take_kernels(graph_def: GraphDef) -> dict[str, Array]:
    """Turn kernels into inputs; give their values by tensor name."""
    import tensorflow as tf

    nodes = {node.name: node for node in graph_def.node}
    taken: dict[str, Array] = {}
    for weighted in [node for node in graph_def.node if node.op in ("Conv2D", "MatMul")]:
        kernel = nodes[weighted.input[1].split(":")[0]]
        if kernel.op != "Const":
            continue
        value = tf.make_ndarray(kernel.attr["value"].tensor)
        if weighted.op == "MatMul" and value.size < _LARGE:
            continue
        taken[f"{kernel.name}:0"] = value
        kernel.op = "Placeholder"
        del kernel.attr["value"]
        kernel.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return taken


def _put_kernels_back(model: ModelProto, kernels: dict[str, Array]) -> None:
    from onnx import numpy_helper

    inputs = [value for value in model.graph.input if value.name not in kernels]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for name, value in kernels.items():
        readers = [node for node in model.graph.node if name in node.input]
        for reader in [node for node in readers if node.op_type == "Transpose"]:
            turned = np.ascontiguousarray(np.transpose(value, reader.attribute[0].ints))
            initializer = reader.output[0] if len(readers) > 1 else name
            model.graph.initializer.append(numpy_helper.from_array(turned, initializer))
            _rename(model, reader.output[0], initializer)
            readers.remove(reader)
            model.graph.node.remove(reader)
        if readers:
            model.graph.initializer.append(numpy_helper.from_array(value, name))


def _rename(model: ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new


def _name_after_kernels(model: ModelProto) -> None:
    """Give merged convolutions back the name of their layer, by which tools show them."""
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:
        if len(node.input) > 1 and node.input[1].endswith(f"/{KERNEL}:0"):
            node.name = node.input[1].removesuffix(f"/{KERNEL}:0")
            if node.output[0] not in outputs:
                _rename(model, node.output[0], f"{node.name}:0")
