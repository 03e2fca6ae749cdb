"""Reading the tensors of an int8 OpenVINO model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.openvino_activations import OpenVinoActivationReader
from edgeferry.exporters.openvino_network import tensor_name
from edgeferry.exporters.quantized_reader import Limits
from edgeferry.threads import physical_cores

if TYPE_CHECKING:
    from openvino import Model


class OpenVinoQuantizedReader:
    """Every tensor, after quantization where it is quantized.

    Args:
        path: The ``.xml`` file.
    """

    def __init__(self, path: Path) -> None:
        import openvino

        model = openvino.Core().read_model(path)
        self._quantizers = _quantizers(model)
        self.limits = {name: _limits(op) for name, op in self._quantizers.items()}
        self._reader = OpenVinoActivationReader(model, physical_cores())

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch, uint8 ``[N, height, width, channels]``."""
        values = self._reader.read(batch)
        quantized = {name: values[op.get_friendly_name()] for name, op in self._quantizers.items()}
        return values | quantized


def _quantizers(model: Model) -> dict[str, Any]:
    """The quantizers of activations, by the names of the tensors that they quantize."""
    found: dict[str, Any] = {}
    for op in model.get_ordered_ops():
        source = op.input_value(0) if op.get_type_name() == "FakeQuantize" else None
        if source is not None and source.get_node().get_type_name() != "Constant":
            found[tensor_name(source)] = op
    return found


def _limits(op: Any) -> Limits:
    low, high = (op.input_value(index).get_node().data.astype(np.float64) for index in (1, 2))
    return Limits(low, high, (high - low) / (op.get_attributes()["levels"] - 1))
