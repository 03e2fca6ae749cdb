"""What stands between the picture and the first convolution, made as small as it can be.

The source's preprocessing (given by name, and whatever Rescaling or Normalization layers it
holds) is one affine map per channel. Its scale and the channel order go into the first
convolution's kernel, which is exact; its mean stays one subtraction, since the padding comes
after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.exporters.channel_affine import ChannelAffine, constant_affine
from edgeferry.exporters.graph import KERNEL, Array, Graph
from edgeferry.preprocessing import Normalization

if TYPE_CHECKING:
    from tensorflow import NodeDef


@dataclass(frozen=True)
class Entry:
    """The arithmetic left on the uint8 picture ``x``: ``(x - mean) * scale``, then the flip.

    Attributes:
        tensor: Name of the source's tensor that takes the result.
        mean: Float32 ``[channels]``, RGB order.
        scale: Float32 ``[channels]``, RGB order; None where it was folded away.
        flip: Whether the channels still have to be reversed.
    """

    tensor: str
    mean: Array
    scale: Array | None
    flip: bool


def fold_entry(
    graph: Graph, source_input: str, normalization: Normalization, channels: int
) -> Entry:
    """Fold the preprocessing into the graph's first convolution, as far as that is exact.

    Args:
        graph: The source's graph; edited in place.
        source_input: Name of its input node.
        normalization: The preprocessing by name.
        channels: 3 or 1.
    """
    scale = np.broadcast_to(np.asarray(normalization.scale, np.float64), channels)
    mean = np.broadcast_to(np.asarray(normalization.mean, np.float64), channels)
    affine, tensor = _absorb(graph, source_input, ChannelAffine(scale, -mean * scale), channels)
    convolution = _convolution_behind(graph, tensor, channels)
    if convolution is None:
        return _unfolded(tensor, affine, normalization.flip)
    kernel = graph.constant(convolution.input[1])
    assert kernel is not None
    folded = kernel * affine.scale[:, None]
    if normalization.flip:
        folded = folded[:, :, ::-1]
    convolution.input[1] = graph.add_constant(
        f"{convolution.name}/{KERNEL}", folded.astype(np.float32)
    )
    left = -affine.offset / affine.scale
    return Entry(tensor, _rgb(left, normalization.flip), None, False)


def _unfolded(tensor: str, affine: ChannelAffine, flip: bool) -> Entry:
    mean = _rgb(-affine.offset / affine.scale, flip)
    return Entry(tensor, mean, _rgb(affine.scale, flip), flip)


def _rgb(values: Array, flip: bool) -> Array:
    return (values[::-1] if flip else values).astype(np.float32)


def _absorb(
    graph: Graph, tensor: str, affine: ChannelAffine, channels: int
) -> tuple[ChannelAffine, str]:
    """Follow the only reader of a tensor while it is an affine map; give the total and the end.

    A map that blots a channel out ends it: the mean could not be told from what is left.
    """
    consumers = graph.consumers()
    while (reader := _only_reader(graph, consumers, tensor)) is not None:
        step = constant_affine(graph, reader, tensor, channels)
        if step is None or not step.scale.all():
            break
        affine, tensor = affine.then(step.scale, step.offset), reader.name
    return affine, tensor


def _convolution_behind(graph: Graph, tensor: str, channels: int) -> NodeDef | None:
    """The convolution that alone reads a tensor, through zero padding at most."""
    consumers = graph.consumers()
    while (reader := _only_reader(graph, consumers, tensor)) is not None:
        if reader.op == "Conv2D":
            return reader if _is_foldable(graph, reader, channels) else None
        if not _is_zero_padding(graph, reader):
            return None
        tensor = reader.name
    return None


def _is_foldable(graph: Graph, node: NodeDef, channels: int) -> bool:
    kernel = graph.constant(node.input[1])
    ungrouped = kernel is not None and kernel.dtype == np.float32 and kernel.shape[2] == channels
    return ungrouped and node.attr["data_format"].s in (b"", b"NHWC")


def _only_reader(graph: Graph, consumers: dict[str, list[str]], tensor: str) -> NodeDef | None:
    readers = consumers[tensor]
    return graph.nodes.get(readers[0]) if len(readers) == 1 else None


def _is_zero_padding(graph: Graph, node: NodeDef) -> bool:
    if node.op not in ("Pad", "PadV2"):
        return False
    amounts = graph.constant(node.input[1])
    value = graph.constant(node.input[2]) if node.op == "PadV2" else np.zeros(1)
    return amounts is not None and not amounts[-1].any() and value is not None and not value.any()
