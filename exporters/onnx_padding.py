"""Padding folded into the max pooling behind it, so that int8 runs through without a break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def fold_padding(model: ModelProto) -> None:
    """Fold a zero padding into the max pooling that alone reads it; edits the model.

    Only behind a Relu: no value there is below 0, so the zeros never decide the maximum, and
    leaving them out, as the pooling's own padding does, gives the same.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    for pool in [node for node in model.graph.node if node.op_type == "MaxPool"]:
        pad = producers.get(pool.input[0])
        if pad is None or pad.op_type != "Pad" or len(_readers(model, pad.output[0])) != 1:
            continue
        source = producers.get(pad.input[0])
        amounts = _spatial_padding(model, pad)
        if source is not None and source.op_type == "Relu" and amounts is not None:
            _add_pads(pool, amounts)
            pool.input[0] = pad.input[0]
            model.graph.node.remove(pad)


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


def _add_pads(pool: NodeProto, amounts: list[int]) -> None:
    from onnx import helper

    own = next((list(a.ints) for a in pool.attribute if a.name == "pads"), [0] * len(amounts))
    kept = [a for a in pool.attribute if a.name not in ("pads", "auto_pad")]
    del pool.attribute[:]
    pool.attribute.extend(kept)
    total = [a + b for a, b in zip(own, amounts, strict=True)]
    pool.attribute.append(helper.make_attribute("pads", total))


def _constant(model: ModelProto, name: str) -> Any:
    from onnx import numpy_helper

    return next((numpy_helper.to_array(v) for v in model.graph.initializer if v.name == name), None)


def _readers(model: ModelProto, name: str) -> list[NodeProto]:
    return [node for node in model.graph.node if name in node.input]
