"""Reading every activation of a float ONNX model for a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeferry.contract import INPUT_NAME

if TYPE_CHECKING:
    from onnx import ModelProto


class OnnxActivationReader:
    """A float model opened with every float tensor as an output.

    Args:
        model: A float model with shapes inferred and a uint8 input.
        threads: To run it with.
    """

    def __init__(self, model: ModelProto, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = True  # gives the memory back after each picture
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _with_all_outputs(model).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._names = [output.name for output in self._session.get_outputs()]

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch.

        Args:
            batch: uint8 ``[N, height, width, channels]``, N as the model has it.

        Returns:
            Float32 activations by tensor name.
        """
        values = self._session.run(self._names, {INPUT_NAME: batch})
        return dict(zip(self._names, values, strict=True))


def _with_all_outputs(model: ModelProto) -> ModelProto:
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shown = {value.name for value in copy.graph.output}
    copy.graph.output.extend(
        value
        for value in copy.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and value.name not in shown
    )
    return copy
