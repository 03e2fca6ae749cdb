"""ONNX: converted by tf2onnx, quantized to QDQ form with onnxruntime's tools and our own ranges."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgeferry.artifact import METADATA_NAME
from edgeferry.calibration.histogram import Range
from edgeferry.contract import INPUT_NAME, Contract, Format, Precision
from edgeferry.exporters.base import Exporter, versions_of
from edgeferry.exporters.network import Tail
from edgeferry.exporters.preparation import ENTRY_SCOPE
from edgeferry.exporters.recipes import IntegerType, Recipe
from edgeferry.exporters.standards import model_info
from edgeferry.exporters.statistics import Calibration, Statistics, collect

if TYPE_CHECKING:
    from onnx import ModelProto


class OnnxExporter(Exporter["ModelProto"]):
    """Writes ``.onnx``; what its precisions share is the float model."""

    format: ClassVar[Format] = "onnx"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)

    def prepare(self) -> ModelProto:
        """Convert the graph to a float model."""
        from edgeferry.exporters.onnx_conversion import convert

        self.progress("converting", 0, 1)
        return convert(self.source.graph, self.source.contract)

    def export(
        self,
        prepared: ModelProto,
        recipe: Recipe,
        calibration: Calibration | None,
        destination: Path,
    ) -> None:
        """Write one artifact."""
        from edgeferry.exporters.onnx_bias import corrected
        from edgeferry.exporters.onnx_network import onnx_network

        model = prepared
        if recipe.precision == "fp16":
            model = to_fp16(prepared)
        elif recipe.precision == "int8":
            assert calibration is not None
            channels = self.statistics(prepared, calibration).channels
            ranges = self.ranges(prepared, recipe, calibration)
            network = onnx_network(prepared)
            left = network.float_group(recipe.float_layers)
            right = corrected(prepared, channels, left)
            model = quantize(right, ranges, recipe.activations, left, network.tail())
        write(model, self.contract(recipe, calibration), destination)

    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """The converter's, and the quantizer's where it is used."""
        packages = ["tf2onnx", "onnx"]
        return versions_of(packages if precision == "fp32" else [*packages, "onnxruntime"])

    def _collect(self, prepared: ModelProto, calibration: Calibration) -> Statistics:
        from edgeferry.exporters.onnx_activations import OnnxActivationReader
        from edgeferry.exporters.onnx_bias import channel_axes

        reader = OnnxActivationReader(prepared, self.threads)
        return collect(reader, calibration, channel_axes(prepared), self.progress)


def float_nodes(model: ModelProto) -> list[str]:
    """Names of the nodes that stay float: picture arithmetic, and what ends the network."""
    from edgeferry.exporters.onnx_network import onnx_network

    entry = (node.name for node in model.graph.node if node.name.startswith(f"{ENTRY_SCOPE}/"))
    return [*entry, *sorted(onnx_network(model).tail().behind)]


def to_fp16(model: ModelProto) -> ModelProto:
    """Compute in float16, but for the picture arithmetic and what ends the network.

    A pixel minus its mean needs the finer steps of float32; probabilities below 6e-8 would
    vanish.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = convert_float_to_float16(copy, keep_io_types=True, node_block_list=float_nodes(model))
    _drop_detours(half)
    return half


def _drop_detours(model: ModelProto) -> None:
    """Remove float32 to float16 to float32, which the conversion leaves around float nodes."""
    from onnx import TensorProto

    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    producers = {node.output[0]: node for node in model.graph.node}
    half_of = {
        output: cast.input[0]
        for output, cast in casts.items()
        if cast.attribute[0].i == TensorProto.FLOAT16 and cast.input[0] != INPUT_NAME
    }
    for output, cast in casts.items():
        if cast.attribute[0].i == TensorProto.FLOAT and cast.input[0] in half_of:
            origin = half_of[cast.input[0]]
            producers[origin].output[0] = output
            for node in model.graph.node:
                node.input[:] = [output if name == origin else name for name in node.input]
            model.graph.node.remove(cast)
    _drop_unread(model)


def _drop_unread(model: ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    read.update(value.name for value in model.graph.output)
    for node in [node for node in model.graph.node if not read & set(node.output)]:
        model.graph.node.remove(node)


def quantize(
    model: ModelProto,
    ranges: dict[str, Range],
    activations: IntegerType,
    left: Collection[str],
    tail: Tail,
) -> ModelProto:
    """Quantize statically to QDQ form, weights int8 per channel.

    Args:
        model: The float model.
        ranges: Of each activation, by tensor name.
        activations: Their integer type.
        left: Names of the nodes that stay float.
        tail: What ends the network: not quantized either.
    """
    import numpy as np
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = {
        name: TensorData(
            lowest=np.array(limits.low, np.float32), highest=np.array(limits.high, np.float32)
        )
        for name, limits in ranges.items()
    }
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8 if activations == "uint8" else QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, found),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted({*float_nodes(model), *left}),
        op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry}),
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
    )
    quantizer.quantize_model()
    quantized: ModelProto = quantizer.model.model
    for layer in tail.layers:
        _keep_float(quantized, layer.output)
    return quantized


def _keep_float(model: ModelProto, tensor: str) -> None:
    """Let what reads a tensor read it as it is, if it was quantized."""
    for quantize in [node for node in model.graph.node if node.input[0] == tensor]:
        if quantize.op_type != "QuantizeLinear":
            continue
        (back,) = (node for node in model.graph.node if node.input[0] == quantize.output[0])
        for node in model.graph.node:
            node.input[:] = [tensor if name == back.output[0] else name for name in node.input]
        model.graph.node.remove(quantize)
        model.graph.node.remove(back)


def write(model: ModelProto, contract: Contract, destination: Path) -> None:
    """Write a model with its contract and the ``model_info`` that OpenVINO's Model API reads.

    The same bytes every time.
    """
    import onnx
    from onnxruntime.transformers.onnx_model import OnnxModel

    named = onnx.ModelProto()
    named.CopyFrom(model)
    del named.metadata_props[:]
    named.metadata_props.add(key=METADATA_NAME, value=contract.to_json())
    for key, value in model_info(contract).items():
        named.metadata_props.add(key=f"model_info {key}", value=value)
    named.graph.name = contract.source.name
    named.producer_name = "edgeferry"
    named.producer_version = contract.versions["edgeferry"]
    named.doc_string = named.graph.doc_string = ""
    OnnxModel.graph_topological_sort(named.graph, is_deterministic=True)
    onnx.checker.check_model(named)
    destination.write_bytes(named.SerializeToString(deterministic=True))
