"""Which operation of a TFLite graph each kernel that ran belongs to."""

import re
from collections.abc import Iterator, Sequence

from edgeferry.operations import CONVERSIONS, WEIGHTED_KINDS, kind_of
from edgeferry.runtimes.base import Operation
from edgeferry.runtimes.layer_times import LayerTime

_TAG = re.compile(r"(?P<type>[\w ]+?) \((?P<traits>[^)]*)\)")
_PRECISIONS = {"QC8": "int8", "QS8": "int8", "QU8": "int8", "F16": "fp16", "F32": "fp32"}
_CONVERSION = "conversion"
_WEIGHTED = "weighted"


def layer_times(
    tags: Sequence[str], microseconds: Sequence[float], listed: Sequence[Operation]
) -> tuple[LayerTime, ...]:
    """Times of the kernels, each with the operation that it belongs to.

    XNNPACK's kernels stand in the order of the graph's operations, but are not the same: it makes
    matrix products of 1×1 convolutions, and kernels of their own of some activations. Weighted
    operations are found by their number; what stands between two of them, by kind.

    Args:
        tags: LiteRT's names of what ran, e.g. ``Convolution (NHWC, QC8) IGEMM``, in order.
        microseconds: How long each took.
        listed: The operations of the graph, in order.
    """
    kinds = [_kind(tag) for tag in tags]
    places = list(_places(kinds, [operation.kind for operation in listed]))
    return tuple(
        _layer_time(tag, kind, time, None if place is None else listed[place])
        for tag, kind, time, place in zip(tags, kinds, microseconds, places, strict=True)
    )


def _layer_time(tag: str, kind: str, time: float, operation: Operation | None) -> LayerTime:
    same = operation is not None and _group(operation.kind) == _group(kind)
    precision = _precision(tag) or (operation.precision if operation else "other")
    return LayerTime(
        name=tag,
        type=tag,
        kind=operation.kind if same and operation else kind,
        precision=precision,
        microseconds=time,
        originals=(operation.name,) if operation else (),
    )


def _places(ran: Sequence[str], listed: Sequence[str]) -> Iterator[int | None]:
    """Where each kernel's operation stands; an own kernel for an activation is the last one's.

    None for all where the weighted ones are not as many, since then nothing is sure.
    """
    groups = [_group(kind) for kind in listed]
    if [_group(kind) for kind in ran].count(_WEIGHTED) != groups.count(_WEIGHTED):
        yield from [None] * len(ran)
        return
    at = -1
    for kind in ran:
        reach = groups[at + 1 :]
        if _WEIGHTED in reach:
            reach = reach[: reach.index(_WEIGHTED) + 1]
        if _group(kind) in reach:
            at += 1 + reach.index(_group(kind))
        yield at if at >= 0 else None


def _group(kind: str) -> str:
    """Kinds that one operation may have in the graph and as a kernel."""
    if kind in CONVERSIONS:
        return _CONVERSION
    return _WEIGHTED if kind in WEIGHTED_KINDS else kind


def _kind(tag: str) -> str:
    match = _TAG.match(tag)
    return kind_of((match["type"] if match else tag).replace(" ", ""))


def _precision(tag: str) -> str:
    """What the tag tells of it; empty where it tells nothing."""
    match = _TAG.match(tag)
    traits = match["traits"].split(", ") if match else []
    return next((_PRECISIONS[each] for each in traits if each in _PRECISIONS), "")
