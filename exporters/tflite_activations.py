"""Reading every activation of a float ``.tflite`` for a picture."""

import numpy as np
from numpy.typing import NDArray


class TFLiteActivationReader:
    """A float model opened so that all intermediate tensors can be read.

    Args:
        model: Bytes of a float TFLite model with a uint8 input.
    """

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        from edgeferry.threads import physical_cores

        self._interpreter = Interpreter(
            model_content=model,
            num_threads=physical_cores(),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._activations = self._computed_floats()

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

    def _computed_floats(self) -> dict[str, int]:
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        computed = {index for op in self._interpreter._get_ops_details() for index in op["outputs"]}
        return {
            tensor["name"]: index
            for index, tensor in details.items()
            if index in computed and tensor["dtype"] is np.float32
        }
