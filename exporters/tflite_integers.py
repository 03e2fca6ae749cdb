"""Activations that TFLite computes in int8, and litert-quantizer leaves in float."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeferry.exporters.tflite_metadata import pack, unpack

_VERSIONS = {schema.BuiltinOperator.LEAKY_RELU: 2, schema.BuiltinOperator.ELU: 1}
"""The activations, and the first version of each that takes int8."""


def integer_activations(model: bytes) -> bytes:
    """Let activations between a dequantization and a quantization read and give the integers.

    Args:
        model: Bytes of a quantized model.

    Returns:
        The same bytes where there are none.
    """
    tree = unpack(model)
    graph = tree.subgraphs[0]
    found = list(_between_integers(tree))
    if not found:
        return model
    for operation, integers, quantize in found:
        operation.inputs = np.array([integers], np.int32)
        operation.outputs = quantize.outputs
        code = tree.operatorCodes[operation.opcodeIndex]
        code.version = max(code.version, _VERSIONS[code.builtinCode])
    dropped = {id(quantize) for *_, quantize in found}
    graph.operators = [each for each in graph.operators if id(each) not in dropped]
    _drop_unread(tree)
    return pack(tree, len(model))


def _between_integers(tree: schema.ModelT) -> Iterator[tuple[Any, int, Any]]:
    """Each such activation, the integers that it could read, and the quantization behind it."""
    graph = tree.subgraphs[0]
    makers = {int(index): op for op in graph.operators for index in op.outputs}
    readers: dict[int, list[Any]] = {}
    for op in graph.operators:
        for index in op.inputs:
            readers.setdefault(int(index), []).append(op)
    for op in graph.operators:
        if _code(tree, op) not in _VERSIONS:
            continue
        before = makers.get(int(op.inputs[0]))
        behind = readers.get(int(op.outputs[0]), [])
        if before is None or len(behind) != 1 or int(op.outputs[0]) in map(int, graph.outputs):
            continue
        integers = int(before.inputs[0])
        fits = (
            _code(tree, before) == schema.BuiltinOperator.DEQUANTIZE
            and _code(tree, behind[0]) == schema.BuiltinOperator.QUANTIZE
            and graph.tensors[integers].type == schema.TensorType.INT8
            and graph.tensors[behind[0].outputs[0]].type == schema.TensorType.INT8
        )
        if fits:
            yield op, integers, behind[0]


def _drop_unread(tree: schema.ModelT) -> None:
    """Drop the dequantizations that nothing reads any more."""
    graph = tree.subgraphs[0]
    read = Counter(int(index) for op in graph.operators for index in op.inputs)
    read.update(map(int, graph.outputs))
    graph.operators = [
        op
        for op in graph.operators
        if _code(tree, op) != schema.BuiltinOperator.DEQUANTIZE or read[int(op.outputs[0])]
    ]


def _code(tree: schema.ModelT, operation: Any) -> int:
    return int(tree.operatorCodes[operation.opcodeIndex].builtinCode)
