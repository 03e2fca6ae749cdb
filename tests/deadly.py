"""Files that end the process of the engine that opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def write_deadly_tflite(path: Path) -> Path:
    """An int8 sum whose step is 0: LiteRT (2.3.0) aborts the process."""
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    code, add, graph = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT()
    code.builtinCode, code.version = schema.BuiltinOperator.ADD, 2
    add.inputs, add.outputs, add.builtinOptions = [0, 0], [1], schema.AddOptionsT()
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    graph.tensors = [_tensor(schema, "image", 0.1), _tensor(schema, "sum", 0.0)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [add]
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(schema: Any, name: str, step: float) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, [1, 8, 8, 3], schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [step], [0]
    return tensor


def change_a_deadly_byte(path: Path) -> None:
    """Make the step of the first sum in an int8 ``.tflite`` all but 0, by one changed byte."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    content = bytearray(path.read_bytes())
    model = schema.Model.GetRootAs(content)
    graph, addition = model.Subgraphs(0), schema.BuiltinOperator.ADD
    operators = map(graph.Operators, range(graph.OperatorsLength()))
    codes = ((each, model.OperatorCodes(each.OpcodeIndex())) for each in operators)
    result = next(each.Outputs(0) for each, code in codes if code.BuiltinCode() == addition)
    table = graph.Tensors(result).Quantization()._tab
    scale = table.Vector(table.Offset(8))
    assert content[scale + 3] in range(0x30, 0x40), "the high byte of a float32 below 1"
    content[scale + 3] = 0
    path.write_bytes(content)
