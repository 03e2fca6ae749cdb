"""Reading every activation of a float ``.tflite`` for a picture."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeferry.exporters.tflite_metadata import pack, unpack


class TFLiteActivationReader:
    """A float model opened with every float tensor that depends on the picture as an output.

    Args:
        model: Bytes of a float TFLite model with a uint8 input.
        threads: To run it with.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=_with_all_outputs(model), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        self._activations = {tensor["name"]: tensor["index"] for tensor in outputs}

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch.

        Args:
            batch: uint8 ``[N, height, width, channels]``, N as the model has it.

        Returns:
            Float32 activations by tensor name.
        """
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(i) for name, i in self._activations.items()}


def _with_all_outputs(model: bytes) -> bytes:
    """Outputs are kept by XNNPACK too, which takes a third of the plain kernels' time."""
    tree = unpack(model)
    graph = tree.subgraphs[0]
    computed = (index for op in graph.operators for index in op.outputs)
    floats = [each for each in computed if graph.tensors[each].type == schema.TensorType.FLOAT32]
    graph.outputs = list(dict.fromkeys(floats))
    tree.signatureDefs = None
    return pack(tree, len(model))
