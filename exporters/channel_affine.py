"""Operations that do one constant multiplication and addition per channel, read off a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.exporters.graph import Array, Graph, node_name

if TYPE_CHECKING:
    from tensorflow import NodeDef


@dataclass(frozen=True)
class ChannelAffine:
    """``y = x * scale + offset`` for each channel, float64."""

    scale: Array
    offset: Array

    def then(self, scale: Array | float, offset: Array | float) -> ChannelAffine:
        """This map followed by another."""
        return ChannelAffine(self.scale * scale, self.offset * scale + offset)


def constant_affine(
    graph: Graph, node: NodeDef, source: str, channels: int
) -> ChannelAffine | None:
    """What a node does to each channel of one of its inputs; None if it is no constant affine map.

    Args:
        graph: The graph.
        node: The node that reads ``source``.
        source: Name of the node whose values are mapped.
        channels: Size of the last dimension of those values.
    """
    if node.op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        return _fused_batch_norm(graph, node)
    if node.op not in ("BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv") or len(node.input) != 2:
        return None
    first, second = node.input
    other = second if node_name(first) == source else first
    value = _per_channel(graph.constant(other), channels)
    if value is None or node_name(other) == source:
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "Mul":
        return ChannelAffine(value, zero)
    if node.op in ("BiasAdd", "Add", "AddV2"):
        return ChannelAffine(one, value)
    if node.op == "Sub":
        return ChannelAffine(one, -value) if other == second else ChannelAffine(-one, value)
    return ChannelAffine(1 / value, zero) if other == second and np.all(value != 0) else None


def _fused_batch_norm(graph: Graph, node: NodeDef) -> ChannelAffine | None:
    parameters = [graph.constant(name) for name in node.input[1:5]]
    if node.attr["is_training"].b or node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    gamma, beta, mean, variance = (
        None if value is None else value.astype(np.float64) for value in parameters
    )
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return ChannelAffine(scale, beta - mean * scale)


def _per_channel(value: Array | None, channels: int) -> Array | None:
    if value is None or not np.issubdtype(value.dtype, np.floating):
        return None
    if value.size == 1:
        return np.full(channels, float(value.reshape(())))
    if value.size == channels and value.shape[-1] == channels:
        return value.reshape(channels).astype(np.float64)
    return None
