"""Reading the tensors of an int8 TFLite model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.exporters.quantized_reader import Limits
from edgeferry.threads import physical_cores

_AFTER_QUANTIZE = "_quantized"
"""What the quantizer puts behind the name of a float tensor that it makes integer."""


class TFLiteQuantizedReader:
    """Every tensor, dequantized where it is quantized.

    Args:
        path: The artifact.
        names: Names of the float model's tensors.
    """

    def __init__(self, path: Path, names: Collection[str]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_path=str(path),
            num_threads=physical_cores(),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._tensors = self._computed(names)
        self.limits = {
            name: _limits(tensor)
            for name, tensor in self._tensors.items()
            if tensor["dtype"] is np.int8
        }

    def read(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one batch, uint8 ``[N, height, width, channels]``."""
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return {name: self._value(tensor) for name, tensor in self._tensors.items()}

    def _computed(self, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Tensors that depend on the picture; of one that is there in both forms, the integer."""
        by_operation = {name.partition(";")[0]: name for name in names}
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        computed = [index for op in self._interpreter._get_ops_details() for index in op["outputs"]]
        found: dict[str, Mapping[str, Any]] = {}
        for tensor in (details[index] for index in computed):
            if tensor["dtype"] in (np.int8, np.float32):
                name = tensor["name"].removesuffix(_AFTER_QUANTIZE)
                if name not in names:  # constants that were merged are in it, equal ones once
                    name = by_operation.get(name.partition(";")[0], name)
                found[name] = tensor
        return found

    def _value(self, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
        values = self._interpreter.get_tensor(tensor["index"])
        if tensor["dtype"] is np.float32:
            return np.asarray(values)
        scale, zero = tensor["quantization"]
        return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)


def _limits(tensor: Mapping[str, Any]) -> Limits:
    scale, zero = tensor["quantization"]
    ends = np.iinfo(np.int8)
    low, high = ((end - zero) * float(scale) for end in (ends.min, ends.max))
    return Limits(np.asarray(low), np.asarray(high), np.asarray(float(scale)))
