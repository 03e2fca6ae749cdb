"""Batch norm folded into the weights beside it, so that no engine computes it.

Covers its fused and its written-out form (Ioffe and Szegedy, 2015,
https://arxiv.org/abs/1502.03167) and any chain of constant additions and products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeferry.exporters.channel_affine import ChannelAffine, constant_affine
from edgeferry.exporters.graph import KERNEL, Array, Graph, node_name

if TYPE_CHECKING:
    from tensorflow import NodeDef

_WEIGHTED = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})


def fold_batch_norm(graph: Graph) -> None:
    """Fold per-channel scales and offsets into the weights they stand before or behind.

    Before a convolution they stay, since its zero padding comes between.
    """
    for fold, ops in ((_fold_ahead, {"MatMul"}), (_fold_behind, _WEIGHTED)):
        consumers = graph.consumers()
        for node in [node for node in graph.nodes.values() if node.op in ops]:
            fold(graph, node, consumers)
        graph.prune()


def _fold_ahead(graph: Graph, node: NodeDef, consumers: dict[str, list[str]]) -> None:
    """Fold what stands before a matrix product; its offset becomes a bias behind."""
    kernel = graph.constant(node.input[1])
    turned = node.attr["transpose_a"].b or node.attr["transpose_b"].b
    if kernel is None or kernel.dtype != np.float32 or turned:
        return
    total, tensor = _affine_ahead(graph, node.input[0], len(kernel), consumers)
    if tensor == node.input[0]:
        return
    product = graph.copy(node, f"{node.name}/product")
    folded = (kernel * total.scale[:, None]).astype(np.float32)
    product.input[:] = [tensor, graph.add_constant(f"{product.name}/{KERNEL}", folded)]
    shift = (total.offset @ kernel).astype(np.float32)
    _become_bias_add(graph, node, product.name, graph.add_constant(f"{node.name}/shift", shift))


def _affine_ahead(
    graph: Graph, tensor: str, channels: int, consumers: dict[str, list[str]]
) -> tuple[ChannelAffine, str]:
    """Follow a tensor back while it is an affine map of another that nobody else reads.

    What stands right behind other weights is theirs to fold.
    """
    total = ChannelAffine(np.ones(channels), np.zeros(channels))
    while len(consumers[node_name(tensor)]) == 1:
        producer = graph.nodes[node_name(tensor)]
        sources = [name for name in producer.input if graph.constant(name) is None]
        if len(sources) != 1 or graph.nodes[node_name(sources[0])].op in _WEIGHTED:
            break
        step = constant_affine(graph, producer, node_name(sources[0]), channels)
        if step is None:
            break
        total = step.then(total.scale, total.offset)
        tensor = sources[0]
    return total, tensor


def _fold_behind(graph: Graph, node: NodeDef, consumers: dict[str, list[str]]) -> None:
    """Fold what stands behind a weighted operation; its offset becomes the bias."""
    kernel = graph.constant(node.input[1])
    channels = _output_channels(node, kernel)
    if kernel is None or channels is None:
        return
    total = ChannelAffine(np.ones(channels), np.zeros(channels))
    last, folded = node.name, 0
    while len(consumers[last]) == 1 and (reader := graph.nodes.get(consumers[last][0])):
        step = constant_affine(graph, reader, last, channels)
        if step is None:
            break
        total = total.then(step.scale, step.offset)
        last, folded = reader.name, folded + 1
    if folded:
        scale = _kernel_shaped(node, kernel, total.scale)
        node.input[1] = graph.add_constant(
            f"{node.name}/{KERNEL}", (kernel * scale).astype(kernel.dtype)
        )
        bias = graph.add_constant(f"{node.name}/bias", total.offset.astype(kernel.dtype))
        _become_bias_add(graph, graph.nodes[last], node.name, bias)


def _output_channels(node: NodeDef, kernel: Array | None) -> int | None:
    """Number of output channels, None for a layout that is not folded."""
    if kernel is None or kernel.dtype != np.float32:
        return None
    if node.op == "MatMul":
        return None if node.attr["transpose_b"].b else int(kernel.shape[1])
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    if node.op == "DepthwiseConv2dNative":
        return int(kernel.shape[2] * kernel.shape[3])
    return int(kernel.shape[3])


def _kernel_shaped(node: NodeDef, kernel: Array, scale: Array) -> Array:
    return scale.reshape(kernel.shape[2:]) if node.op == "DepthwiseConv2dNative" else scale


def _become_bias_add(graph: Graph, node: NodeDef, source: str, bias: str) -> None:
    import tensorflow as tf

    node.op = "BiasAdd"
    node.input[:] = [source, bias]
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["data_format"].s = b"NHWC"
    graph.nodes[node.name] = node
