"""Reading the tensors of an int8 ONNX model in QDQ form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import INPUT_NAME
from edgeferry.exporters.quantized_reader import Limits
from edgeferry.threads import physical_cores

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class OnnxQuantizedReader:
    """Every tensor, after quantization where it is quantized.

    Each operation is computed as the file says, without fusions; integer kernels differ from
    that by rounding.

    Args:
        path: The artifact.
    """

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(path)
        self.limits = dict(_limits(model))
        self._outputs = _outputs(model)
        shown = {value.name for value in model.graph.output}
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in self._outputs.values()
            if name not in shown
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = physical_cores()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch, uint8 ``[N, height, width, channels]``."""
        values = self._session.run(list(self._outputs.values()), {INPUT_NAME: batch})
        return dict(zip(self._outputs, values, strict=True))


def _outputs(model: ModelProto) -> dict[str, str]:
    """By the names of tensors, the names of what carries their values as later ones read them."""
    constants = {value.name for value in model.graph.initializer}
    quantized: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in model.graph.node:
        computed = [name for name in node.input if name and name not in constants]
        if not computed:
            constants.update(node.output)
        elif node.op_type == "QuantizeLinear":
            quantized[node.output[0]] = node.input[0]
        elif node.op_type == "DequantizeLinear" and node.input[0] in quantized:
            found[quantized[node.input[0]]] = node.output[0]
        else:
            found |= {name: name for name in node.output if name not in found}
    return found


def _limits(model: ModelProto) -> Iterator[tuple[str, Limits]]:
    from onnx import numpy_helper

    constants = {value.name: value for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale, zero = (numpy_helper.to_array(constants[name]) for name in _parameters(node))
            ends = np.iinfo(zero.dtype)
            step = np.asarray(scale, np.float64)
            low, high = ((end - zero.astype(np.float64)) * step for end in (ends.min, ends.max))
            yield node.input[0], Limits(low, high, step)


def _parameters(node: NodeProto) -> tuple[str, str]:
    return node.input[1], node.input[2]
