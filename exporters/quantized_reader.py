"""Reading the tensors of an int8 artifact under the names that its float twin gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import UsageError
from edgeferry.exporters.network import Network
from edgeferry.exporters.statistics import ActivationReader
from edgeferry.integrity import check_file
from edgeferry.threads import physical_cores


@dataclass(frozen=True)
class Limits:
    """What the integers of a tensor can represent.

    Attributes:
        low: Value of the lowest, float64, in a shape that broadcasts with the tensor.
        high: Value of the highest, likewise.
        step: Distance of two neighbors, likewise.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    step: NDArray[np.float64]


class QuantizedReader(Protocol):
    """An int8 artifact opened so that every tensor can be read."""

    @property
    def limits(self) -> Mapping[str, Limits]:
        """Of each quantized tensor, by its name in the float model."""

    def read(self, batch: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Values by the names of the float model, dequantized where they are integers."""


@dataclass(frozen=True)
class FloatModel:
    """A float artifact, opened.

    Attributes:
        network: Its operations.
        reader: Reads its activations.
        channel_axis: Which axis of its pictures the channels are.
    """

    network: Network
    reader: ActivationReader
    channel_axis: int


def open_float(path: Path, format: str) -> FloatModel:
    """Open an fp32 artifact for reading its activations.

    Args:
        path: The file.
        format: Its format.

    Raises:
        ArtifactError: If it was changed since it was exported.
        UsageError: If it is a format whose layers nothing reads.
    """
    check_file(path)
    if format == "onnx":
        import onnx

        from edgeferry.exporters.onnx_activations import OnnxActivationReader
        from edgeferry.exporters.onnx_network import onnx_network

        model = onnx.load(path)
        return FloatModel(onnx_network(model), OnnxActivationReader(model, physical_cores()), 1)
    if format == "openvino":
        import openvino

        from edgeferry.exporters.openvino_activations import OpenVinoActivationReader
        from edgeferry.exporters.openvino_network import openvino_network

        read = openvino.Core().read_model(path)
        return FloatModel(
            openvino_network(read), OpenVinoActivationReader(read, physical_cores()), 1
        )
    if format != "tflite":
        raise UsageError(f"nothing reads the layers of {format} files")
    from edgeferry.exporters.tflite_activations import TFLiteActivationReader
    from edgeferry.exporters.tflite_network import tflite_network

    content = path.read_bytes()
    return FloatModel(
        tflite_network(content), TFLiteActivationReader(content, physical_cores()), -1
    )


def open_quantized(path: Path, format: str, network: Network) -> QuantizedReader:
    """Open an int8 artifact for reading its tensors.

    Args:
        path: The file.
        format: Its format.
        network: The float model, whose names it gives to the tensors.

    Raises:
        ArtifactError: If it was changed since it was exported.
    """
    check_file(path)
    if format == "onnx":
        from edgeferry.exporters.onnx_quantized import OnnxQuantizedReader

        return OnnxQuantizedReader(path)
    if format == "openvino":
        from edgeferry.exporters.openvino_quantized import OpenVinoQuantizedReader

        return OpenVinoQuantizedReader(path)
    from edgeferry.exporters.tflite_quantized import TFLiteQuantizedReader

    return TFLiteQuantizedReader(path, {node.output for node in network.nodes})
