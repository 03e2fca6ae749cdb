"""Requests and answers of the Open Inference Protocol, version 2, with binary tensor data.

https://github.com/kserve/open-inference-protocol
"""

import json
from math import prod
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray
from pydantic import BaseModel

from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.errors import UsageError


class InputParameters(BaseModel, extra="forbid"):
    binary_data_size: int | None = None


class OutputParameters(BaseModel, extra="forbid"):
    binary_data: bool | None = None


class RequestParameters(BaseModel):
    binary_data_output: bool = False


class Input(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    parameters: InputParameters = InputParameters()
    data: Any = None


class Output(BaseModel):
    name: str
    parameters: OutputParameters = OutputParameters()


class Inference(BaseModel):
    """What a client asks for."""

    id: str | None = None
    inputs: list[Input]
    outputs: list[Output] = []
    parameters: RequestParameters = RequestParameters()


def tensors(contract: Contract) -> dict[str, Any]:
    """Inputs and outputs in the protocol's words."""
    image = {"name": INPUT_NAME, "datatype": "UINT8", "shape": [-1, *contract.input.shape[1:]]}
    outputs = [
        {"name": each.name, "datatype": "FP32", "shape": [-1, *each.shape]}
        for each in contract.outputs
    ]
    return {"inputs": [image], "outputs": outputs}


def read_image(request: Inference, binary: bytes, contract: Contract) -> NDArray[np.uint8]:
    """The one input."""
    (wanted,) = tensors(contract)["inputs"]
    given = request.inputs[0] if len(request.inputs) == 1 else None
    if given is None or (given.name, given.datatype) != (INPUT_NAME, "UINT8"):
        raise UsageError(f"the one input is {wanted}")
    if given.shape[1:] != wanted["shape"][1:] or given.shape[0] < 1:
        raise UsageError(f"the shape of {INPUT_NAME} is {wanted['shape']}, not {given.shape}")
    size = given.parameters.binary_data_size
    values = whole_numbers(given.data) if size is None else np.frombuffer(binary, np.uint8)
    if values.size != prod(given.shape) or size not in (None, values.size):
        raise UsageError(f"{values.size} values came for the shape {given.shape}")
    return values.reshape(given.shape)


def whole_numbers(data: Any) -> NDArray[np.uint8]:
    """A flat or nested list as an array."""
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise UsageError(f"data is no array: {error}") from error
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise UsageError("data must be whole numbers from 0 to 255")
    return values.astype(np.uint8)


def answer(request: Inference, name: str, outputs: dict[str, NDArray[np.float32]]) -> Response:
    """The outputs that were asked for, or all, as the client wants them."""
    told, binary = [], []
    for each in request.outputs or [Output(name=each) for each in outputs]:
        if each.name not in outputs:
            raise UsageError(f"there is no output {each.name}, but {', '.join(outputs)}")
        values, as_binary = outputs[each.name], each.parameters.binary_data
        tensor: dict[str, Any] = {"name": each.name, "datatype": "FP32"}
        tensor["shape"] = list(values.shape)
        if request.parameters.binary_data_output if as_binary is None else as_binary:
            binary.append(values.astype("<f4").tobytes())
            tensor["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            tensor["data"] = values.ravel().tolist()
        told.append(tensor)
    own_id = {"id": request.id} if request.id else {}
    head = json.dumps({"model_name": name, **own_id, "outputs": told}).encode()
    if not binary:
        return Response(head, media_type="application/json")
    length = {"Inference-Header-Content-Length": str(len(head))}
    return Response(
        b"".join([head, *binary]), media_type="application/octet-stream", headers=length
    )
