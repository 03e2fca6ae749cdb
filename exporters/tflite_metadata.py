"""A float ``.tflite`` as objects: what edgeferry reads from it, and writes into it.

Only float models are repacked: litert-quantizer keeps quantized weights outside the flatbuffer,
and a repack afterwards would lose them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import INPUT_NAME, Contract

_SIGNATURE = "serving_default"
_FILE_IDENTIFIER = b"TFL3"


def with_contract(model: bytes, contract: Contract) -> bytes:
    """A float model's bytes with the contract inside.

    Args:
        model: Bytes of a float TFLite model.
        contract: What to write.
    """
    tree = unpack(model)
    _set_contract(tree, contract)
    return pack(tree, len(model))


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
    """A float model as a tree of objects."""
    return schema.ModelT.InitFromPackedBuf(model, 0)


def pack(tree: schema.ModelT, size: int) -> bytes:
    """The bytes of a tree; ``size`` is about how many."""
    import flatbuffers

    builder = flatbuffers.Builder(size + 65536)
    builder.Finish(tree.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _set_contract(tree: schema.ModelT, contract: Contract) -> None:
    buffer = schema.BufferT()
    buffer.data = list(contract.to_json().encode())
    tree.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = len(tree.buffers) - 1
    tree.metadata = [*(tree.metadata or []), entry]


def _tensor_map(name: str, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = int(index)
    return entry
