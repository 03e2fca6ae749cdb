"""TFLite: converted by TensorFlow, quantized by litert-quantizer with our own ranges."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from edgeferry.calibration.histogram import Range
from edgeferry.contract import INPUT_NAME, Contract, Format, Precision
from edgeferry.exporters.base import Exporter, versions_of
from edgeferry.exporters.network import Tail
from edgeferry.exporters.preparation import ENTRY_SCOPE
from edgeferry.exporters.recipes import Recipe
from edgeferry.exporters.statistics import Calibration, Statistics, collect

_WEIGHT_ONLY = {
    "Conv": "CONV_2D",
    "DepthwiseConv": "DEPTHWISE_CONV_2D",
    "MatMul": "FULLY_CONNECTED",
}
"""How litert-quantizer calls the operations that scores may come from."""


class TFLiteExporter(Exporter[bytes]):
    """Writes ``.tflite``; what its precisions share is the float model."""

    format: ClassVar[Format] = "tflite"
    suffixes: ClassVar[tuple[str, ...]] = (".tflite",)

    def prepare(self) -> bytes:
        """Convert the graph to a float model."""
        self.progress("converting", 0, 1)
        return convert(self.source.graph, self.source.contract)

    def export(
        self, prepared: bytes, recipe: Recipe, calibration: Calibration | None, destination: Path
    ) -> None:
        """Write one artifact."""
        from edgeferry.exporters.tflite_bias import corrected
        from edgeferry.exporters.tflite_integers import integer_activations
        from edgeferry.exporters.tflite_metadata import with_contract
        from edgeferry.exporters.tflite_network import tflite_network

        model = prepared
        if recipe.precision == "int8":
            assert calibration is not None
            channels = self.statistics(prepared, calibration).channels
            network = tflite_network(prepared)
            left = network.float_group(recipe.float_layers)
            right = corrected(prepared, channels, left)
            rules = static_int8(network.tail(), left)
            ranges = self.ranges(prepared, recipe, calibration)
            model = integer_activations(quantize(right, rules, ranges))
        elif recipe.precision == "fp16":
            model = quantize(prepared, weights_fp16(), None)
        contract = self.contract(recipe, calibration)
        destination.write_bytes(with_contract(model, contract))

    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """TensorFlow's is known already; the quantizer's is added where it is used."""
        return {} if precision == "fp32" else versions_of(["litert-quantizer"])

    def _collect(self, prepared: bytes, calibration: Calibration) -> Statistics:
        from edgeferry.exporters.tflite_activations import TFLiteActivationReader
        from edgeferry.exporters.tflite_bias import channel_axes

        reader = TFLiteActivationReader(prepared, self.threads)
        return collect(reader, calibration, channel_axes(prepared), self.progress)


def convert(graph: Path, contract: Contract) -> bytes:
    """Convert a frozen graph, its tensors named as the contract says, without optimizations."""
    import tensorflow as tf

    from edgeferry.exporters.tflite_metadata import with_signature

    graph_def = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    function = whole.prune(f"{INPUT_NAME}:0", [f"{name}:0" for name in contract.output_names])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], whole)
    return with_signature(bytes(converter.convert()), contract.output_names)


def quantize(model: bytes, recipe: list[dict[str, Any]], ranges: dict[str, Range] | None) -> bytes:
    """Quantize a float model by a litert-quantizer recipe and given ranges."""
    import numpy as np
    from litert_quantizer import quantizer

    statistics = {
        name: {"min": np.array([[found.low]]), "max": np.array([[_upper_end(found)]])}
        for name, found in (ranges or {}).items()
    }
    worker = quantizer.Quantizer(model, recipe)
    result = worker.quantize(
        statistics or None, enable_progress_bar=False, enable_progress_report=False
    )
    return bytes(result.quantized_model)


def _upper_end(found: Range) -> float:
    """The largest value; 1 where all are 0, since XNNPACK refuses steps as small as that gives."""
    return found.high if found.low or found.high else 1.0


def static_int8(tail: Tail, left: Collection[str]) -> list[dict[str, Any]]:
    """Int8 throughout, weights per channel; picture arithmetic and the network's tail in float.

    Args:
        tail: What ends the network. The weights of its layers are int8, their results float.
        left: Names of the operations that stay float.
    """
    import re

    from litert_quantizer import recipe_manager
    from litert_quantizer.qtyping import TFLOperationName

    manager = recipe_manager.RecipeManager()
    manager.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
    manager.add_quantization_config(
        f"^{ENTRY_SCOPE}/", TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize"
    )
    manager.add_quantization_config(".*", TFLOperationName.OUTPUT, algorithm_key="no_quantize")
    for name in sorted({*left, *tail.behind}):
        manager.add_quantization_config(
            f"^{re.escape(name)};",
            TFLOperationName.ALL_SUPPORTED,
            algorithm_key="no_quantize",
        )
    for layer in (each for each in tail.layers if each.name not in left):
        scope = f"^{re.escape(layer.name)};$"
        manager.add_weight_only_config(scope, TFLOperationName(_WEIGHT_ONLY[layer.kind]), 8)
    recipe: list[dict[str, Any]] = manager.get_quantization_recipe()
    return recipe


def weights_fp16() -> list[dict[str, Any]]:
    """Weights stored in float16, computed in float32 unless the engine does better."""
    from litert_quantizer import recipe_manager
    from litert_quantizer.qtyping import (
        ComputePrecision,
        OpQuantizationConfig,
        TensorDataType,
        TensorQuantizationConfig,
        TFLOperationName,
    )

    weights = TensorQuantizationConfig(num_bits=16, dtype=TensorDataType.FLOAT)
    manager = recipe_manager.RecipeManager()
    manager.add_quantization_config(
        ".*",
        TFLOperationName.ALL_SUPPORTED,
        OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key="float_casting",
    )
    recipe: list[dict[str, Any]] = manager.get_quantization_recipe()
    return recipe
