"""Telling the weighted operations of a converted model by their kernels, where names were lost."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.operations import WEIGHTED_KINDS, kind_of

if TYPE_CHECKING:
    from tensorflow import GraphDef

Traits = tuple[str, tuple[int, ...]]
"""What a kernel is known by in any layout: digest of its sorted values, sorted dimensions."""


def kernel_traits(kernel: NDArray[Any]) -> Traits:
    """What a kernel is known by, however it is transposed or reshaped."""
    digest = hashlib.sha256(np.sort(kernel, axis=None).tobytes()).hexdigest()
    return digest, tuple(sorted(size for size in kernel.shape if size > 1))


def source_kernels(graph_def: GraphDef) -> dict[str, Traits]:
    """The constant kernels of a graph, by the names of the operations that read them, in order."""
    import tensorflow as tf

    nodes = {node.name: node for node in graph_def.node}
    weighted = [node for node in graph_def.node if kind_of(node.op) in WEIGHTED_KINDS]
    kernels = {node.name: nodes[node.input[1].split(":")[0]] for node in weighted}
    return {
        name: kernel_traits(tf.make_ndarray(kernel.attr["value"].tensor))
        for name, kernel in kernels.items()
        if kernel.op == "Const"
    }


def matched(found: dict[str, Traits], source: dict[str, Traits]) -> Iterator[tuple[str, str]]:
    """Pair operations of a converted model with those of its source.

    Kernels match that hold the same values, or else, since converters scale some, that have the
    same dimensions; where several match, the first.

    Args:
        found: Kernels of the converted model, by operation, in order.
        source: Kernels of the source, likewise.

    Yields:
        Name in the converted model, name in the source; no name twice.
    """
    found, source = dict(found), dict(source)
    for trait in (0, 1):
        waiting: dict[Any, list[str]] = defaultdict(list)
        for name, traits in source.items():
            waiting[traits[trait]].append(name)
        for name, traits in list(found.items()):
            if same := waiting[traits[trait]]:
                del found[name], source[same[0]]
                yield name, same.pop(0)
