"""A ``.tflite`` as objects: what edgeferry reads from it, and writes into it."""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.exporters.tflite_standard_metadata import (
    STANDARD_NAME,
    standard_metadata,
    with_label_file,
)

_SIGNATURE = "serving_default"
_FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16


def with_contract(model: bytes, contract: Contract) -> bytes:
    """A model's bytes with the contract inside, and what other tools read of it.

    Args:
        model: Bytes of a TFLite model.
        contract: What to write.
    """
    tree = unpack(model)
    _add_metadata(tree, METADATA_NAME, contract.to_json().encode())
    _add_metadata(tree, STANDARD_NAME, standard_metadata(contract))
    return with_label_file(pack(tree, len(model)), contract)


def with_signature(model: bytes, outputs: Sequence[str]) -> bytes:
    """A float model's bytes with its tensors named, and a signature of them.

    Args:
        model: Bytes of a float TFLite model with one input.
        outputs: Names of its outputs, in its order.
    """
    tree = unpack(model)
    graph = tree.subgraphs[0]
    named = [(INPUT_NAME, graph.inputs[0]), *zip(outputs, graph.outputs, strict=True)]
    for name, index in named:
        graph.tensors[index].name = name
    signature = schema.SignatureDefT()
    signature.signatureKey = _SIGNATURE
    signature.subgraphIndex = 0
    maps = [_tensor_map(*each) for each in named]
    signature.inputs, signature.outputs = maps[:1], maps[1:]
    tree.signatureDefs = [signature]
    return pack(tree, len(model))


def unpack(model: bytes) -> schema.ModelT:
    """A model as a tree of objects, that holds all its weights.

    litert-quantizer puts weights behind the flatbuffer. They would be lost when it is packed, and
    neither the readers of metadata nor TFLite before 2.14 look there.
    """
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in tree.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return tree


def pack(tree: schema.ModelT, size: int) -> bytes:
    """The bytes of a tree; ``size`` is about how many."""
    builder = _AligningBuilder(size + 65536)
    builder.Finish(tree.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


class _AligningBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns buffers as TFLite's schema asks, which its Python code does not."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        if elemSize == 1:
            alignment = _BUFFER_ALIGNMENT
        return int(super().StartVector(elemSize, numElems, alignment))


def _add_metadata(tree: schema.ModelT, name: str, content: bytes) -> None:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    tree.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = name
    entry.buffer = len(tree.buffers) - 1
    tree.metadata = [*(tree.metadata or []), entry]


def _tensor_map(name: str, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = int(index)
    return entry
