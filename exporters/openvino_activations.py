"""Reading every activation of an OpenVINO model for a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.openvino_network import openvino_network, tensor_name

if TYPE_CHECKING:
    from openvino import Model


class OpenVinoActivationReader:
    """A model opened with the float tensors that may be quantized as outputs.

    Those inside of what the engine fuses are left out, so that it fuses it here too.

    Args:
        model: With a uint8 input.
        threads: To run it with.
    """

    def __init__(self, model: Model, threads: int) -> None:
        import openvino

        copy = model.clone()
        inner = openvino_network(model).inner_tensors()
        copy.add_outputs(
            [each for each in _computed_floats(copy) if tensor_name(each) not in inner]
        )
        self._names = [tensor_name(result.input_value(0)) for result in copy.get_results()]
        compiled = openvino.Core().compile_model(
            copy,
            "CPU",
            {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads},
        )
        # Two: what one gave may still be read while the other works.
        self._requests = [compiled.create_infer_request() for _ in range(2)]

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch.

        Args:
            batch: uint8 ``[N, height, width, channels]``, N as the model has it.

        Returns:
            Float32 activations by the name of the operation that gives them.
        """
        request, _ = self._requests
        self._requests.reverse()
        request.infer([batch], share_inputs=True)
        return {
            name: request.get_output_tensor(index).data for index, name in enumerate(self._names)
        }


def _computed_floats(model: Model) -> list[Any]:
    import openvino

    computed: set[str] = set()
    found = []
    for op in model.get_ordered_ops():
        sources = {value.get_node().get_friendly_name() for value in op.input_values()}
        if op.get_type_name() == "Result" or not (
            op.get_type_name() == "Parameter" or sources & computed
        ):
            continue
        computed.add(op.get_friendly_name())
        found += [each for each in op.outputs() if each.element_type == openvino.Type.f32]
    return found
