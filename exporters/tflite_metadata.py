"""A float ``.tflite`` as objects: what edgeferry reads from it, and writes into it.

Only float models are repacked: litert-quantizer keeps quantized weights outside the flatbuffer,
and a repack afterwards would lose them.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import INPUT_NAME, Contract

_SIGNATURE = "serving_default"
_FILE_IDENTIFIER = b"TFL3"


def with_contract(model: bytes, contract: Contract) -> bytes:
    """A float model's bytes with the contract and signature inside.

    Args:
        model: Bytes of a float TFLite model with one input and one output.
        contract: What to write.
    """
    tree = unpack(model)
    _set_contract(tree, contract)
    _set_signature(tree, contract.output_name)
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


def _set_signature(tree: schema.ModelT, output_name: str) -> None:
    graph = tree.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = INPUT_NAME
    graph.tensors[graph.outputs[0]].name = output_name
    signature = schema.SignatureDefT()
    signature.signatureKey = _SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = [_tensor_map(INPUT_NAME, graph.inputs[0])]
    signature.outputs = [_tensor_map(output_name, graph.outputs[0])]
    tree.signatureDefs = [signature]


def _tensor_map(name: str, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = int(index)
    return entry
