"""TFLite Metadata: what MediaPipe, the Task library and Android Studio read in a ``.tflite``.

A flatbuffer beside the contract, and the labels as a text file in a zip behind the model. Tables
are written as mappings from the field numbers of the public schema (``metadata_schema.fbs``);
nothing newer than its version 1.0.0 is used.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeferry.contract import BOXES, EMBEDDING, INPUT_NAME, PROBABILITIES, SCORES, Contract
from edgeferry.exporters.standards import label_lines

STANDARD_NAME = "TFLITE_METADATA"
LABEL_FILE = "labels.txt"

Table = Mapping[int, Any]
"""Fields by number: text, tables, sequences of tables or of floats, one-byte integers, int32."""

_FILE_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"
_NAME, _DESCRIPTION = 0, 1  # of models, tensors and files alike
_MODEL_GRAPHS, _MODEL_PARSER = 3, 7
_GRAPH_INPUTS, _GRAPH_OUTPUTS = 2, 3
_TENSOR_CONTENT, _TENSOR_UNITS, _TENSOR_STATS, _TENSOR_FILES = 3, 4, 5, 6
_UNION_TYPE, _UNION_VALUE, _CONTENT_RANGE = 0, 1, 2
_FEATURE, _IMAGE, _BOXES = 1, 2, 3
_RGB, _GRAYSCALE = 1, 2
_FILE_TYPE, _AXIS_LABELS = 2, 2

_OUTPUTS = {
    PROBABILITIES: "Probability of each class",
    BOXES: "Corners of each box, x1 y1 x2 y2, as shares of the input",
    SCORES: "Score of each class for each box, before non-maximum suppression",
    EMBEDDING: "Features of the picture",
}


def standard_metadata(contract: Contract) -> bytes:
    """The metadata of a model with this contract.

    Args:
        contract: Tells the input, the outputs in the model's order, and the labels.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_put_table(builder, _model(contract)), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def with_label_file(model: bytes, contract: Contract) -> bytes:
    """A model with its labels behind it; the same bytes where there are none.

    Args:
        model: A whole ``.tflite``.
        contract: What holds the labels.
    """
    lines = label_lines(contract)
    if not lines:
        return model
    file = io.BytesIO()
    file.write(model)
    entry = zipfile.ZipInfo(LABEL_FILE)  # of a fixed date
    entry.create_system = 3
    with zipfile.ZipFile(file, "a") as archive:  # readers expect it uncompressed
        archive.writestr(entry, "".join(f"{line}\n" for line in lines))
    return file.getvalue()


def _model(contract: Contract) -> Table:
    outputs = [_output(contract, name) for name in contract.output_names]
    return {
        _NAME: contract.source.name,
        _DESCRIPTION: f"{contract.task}, {contract.precision}",
        _MODEL_GRAPHS: [{_GRAPH_INPUTS: [_input(contract)], _GRAPH_OUTPUTS: outputs}],
        _MODEL_PARSER: _PARSER_VERSION,
    }


def _input(contract: Contract) -> Table:
    """Pixels as they are: subtract 0, divide by 1."""
    color = _RGB if contract.input.channels == 3 else _GRAYSCALE
    return {
        _NAME: INPUT_NAME,
        _DESCRIPTION: "Pixels from 0 to 255; the preprocessing is part of the model",
        _TENSOR_CONTENT: _content(_IMAGE, {0: color}),
        _TENSOR_UNITS: [{_UNION_TYPE: 1, _UNION_VALUE: {0: (0.0,), 1: (1.0,)}}],
        _TENSOR_STATS: _limits(0.0, 255.0),
    }


def _output(contract: Contract, name: str) -> Table:
    known = contract.task != "raw" and name in _OUTPUTS
    table: dict[int, Any] = {_NAME: name, _TENSOR_CONTENT: _content(_FEATURE, {})}
    if known:
        table[_DESCRIPTION] = _OUTPUTS[name]
    if known and name == PROBABILITIES and contract.head != "none":
        table[_TENSOR_STATS] = _limits(0.0, 1.0)
    if known and name in (PROBABILITIES, SCORES) and contract.labels:
        table[_TENSOR_FILES] = [{_NAME: LABEL_FILE, _FILE_TYPE: _AXIS_LABELS}]
    if contract.task == "segmentation":
        table[_TENSOR_CONTENT] = _content(_IMAGE, {0: _GRAYSCALE}, (1, 2))
    elif known and name == BOXES:
        boundaries = 1  # left, top, right, bottom
        table[_TENSOR_CONTENT] = _content(_BOXES, {1: boundaries}, (2, 2))
    return table


def _limits(low: float, high: float) -> Table:
    return {0: (high,), 1: (low,)}


def _content(kind: int, properties: Table, axes: tuple[int, int] | None = None) -> Table:
    """What a tensor holds; along some of its axes, or along all but the batch."""
    content: dict[int, Any] = {_UNION_TYPE: kind, _UNION_VALUE: properties}
    if axes:
        content[_CONTENT_RANGE] = {0: np.int32(axes[0]), 1: np.int32(axes[1])}
    return content


def _put_table(builder: Any, table: Table) -> int:
    scalars = (int, np.int32)
    placed = {
        field: _put(builder, value)
        for field, value in table.items()
        if not isinstance(value, scalars)
    }
    builder.StartObject(max(table, default=-1) + 1)
    for field, value in table.items():
        if field in placed:
            builder.PrependUOffsetTRelativeSlot(field, placed[field], 0)
        elif isinstance(value, np.int32):
            builder.PrependInt32Slot(field, int(value), 0)
        else:
            builder.PrependInt8Slot(field, value, 0)
    return int(builder.EndObject())


def _put(builder: Any, value: Any) -> int:
    """Write what lies outside its table, and tell where."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _put_table(builder, value)
    if isinstance(value[0], float):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    tables = [_put_table(builder, each) for each in value]
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())
