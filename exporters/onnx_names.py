"""The source's names on the operations of an ONNX model, where merging lost them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeferry.exporters.graph import KERNEL
from edgeferry.exporters.kernels import kernel_traits, matched, source_kernels
from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from onnx import ModelProto
    from tensorflow import GraphDef


def name_merged(model: ModelProto, graph_def: GraphDef) -> None:
    """Name weighted operations whose kernels lost their names as in the source; edits the model.

    tf2onnx transposes the kernels of depthwise convolutions and merges biases into what it calls
    ``Conv__33``.

    Args:
        model: Converted from the graph.
        graph_def: The graph; what it holds no constant kernel of has its name already.
    """
    from onnx import numpy_helper

    constants = {value.name: value for value in model.graph.initializer}
    nodes = {
        node.name: node for node in model.graph.node if kind_of(node.op_type) in WEIGHTED_KINDS
    }
    kernels = {
        name: kernel_traits(numpy_helper.to_array(constants[node.input[1]]))
        for name, node in nodes.items()
        if node.input[1] in constants and not node.input[1].endswith(f"/{KERNEL}:0")
    }
    named = {
        path: traits for path, traits in source_kernels(graph_def).items() if path not in nodes
    }
    renamed = {}
    outputs = {value.name for value in model.graph.output}
    for name, path in matched(kernels, named):
        nodes[name].name = path
        if nodes[name].output[0] not in outputs:
            renamed[nodes[name].output[0]] = f"{path}:0"
    for node in model.graph.node:
        node.input[:] = [renamed.get(each, each) for each in node.input]
        node.output[:] = [renamed.get(each, each) for each in node.output]
