"""Padding folded into the max pooling behind it, so that int8 runs through without a break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def fold_padding(model: ModelProto) -> None:
    """Fold a zero padding into the max pooling that alone reads it; edits the model.

    Only where no value is below 0: the zeros never decide the maximum there, and leaving them
    out, as the pooling's own padding does, gives the same.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    for pool in [node for node in model.graph.node if node.op_type == "MaxPool"]:
        pad = producers.get(pool.input[0])
        if pad is None or pad.op_type != "Pad" or len(_readers(model, pad.output[0])) != 1:
            continue
        source = producers.get(pad.input[0])
        amounts = _spatial_padding(model, pad)
        if source is None or not _is_rectified(model, source) or amounts is None:
            continue
        if (pads := _total_pads(pool, amounts)) is not None:
            _set_pads(pool, pads)
            pool.input[0] = pad.input[0]
            model.graph.node.remove(pad)


def _is_rectified(model: ModelProto, node: NodeProto) -> bool:
    """Whether no value that a node gives is below 0."""
    if node.op_type != "Clip":
        return bool(node.op_type == "Relu")
    lowest = _constant(model, node.input[1]) if len(node.input) > 1 else None
    return bool(lowest is not None and lowest >= 0)


def _spatial_padding(model: ModelProto, pad: NodeProto) -> list[int] | None:
    """Rows and columns added before, then behind; None if it is no zero padding of those."""
    values = [_constant(model, name) for name in pad.input[1:] if name]
    mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
    if mode != b"constant" or not values or any(value is None for value in values):
        return None
    amounts = [int(n) for n in values[0]]
    fill = float(values[1].reshape(-1)[0]) if len(values) > 1 else 0.0
    if len(amounts) != 8 or fill != 0 or any(amounts[i] for i in (0, 1, 4, 5)):
        return None
    return [*amounts[2:4], *amounts[6:8]]


def _total_pads(pool: NodeProto, amounts: list[int]) -> list[int] | None:
    """A pooling's own padding and some more; None if that is not for it to take."""
    attributes = {attribute.name: attribute for attribute in pool.attribute}
    automatic = "auto_pad" in attributes and attributes["auto_pad"].s not in (b"NOTSET", b"VALID")
    own = list(attributes["pads"].ints) if "pads" in attributes else [0] * len(amounts)
    total = [a + b for a, b in zip(own, amounts, strict=True)]
    # A window with nothing but padding in it has no largest value.
    window = [*attributes["kernel_shape"].ints] * 2
    fits = all(pad < size for pad, size in zip(total, window, strict=True))
    return total if fits and not automatic else None


def _set_pads(pool: NodeProto, pads: list[int]) -> None:
    from onnx import helper

    kept = [a for a in pool.attribute if a.name not in ("pads", "auto_pad")]
    del pool.attribute[:]
    pool.attribute.extend([*kept, helper.make_attribute("pads", pads)])


def _constant(model: ModelProto, name: str) -> Any:
    from onnx import numpy_helper

    return next((numpy_helper.to_array(v) for v in model.graph.initializer if v.name == name), None)


def _readers(model: ModelProto, name: str) -> list[NodeProto]:
    return [node for node in model.graph.node if name in node.input]
