"""OpenVINO: converted by its own front end, quantized by NNCF."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.artifact import RT_INFO_PATH
from edgeferry.contract import INPUT_NAME, Contract, Format, Precision
from edgeferry.exporters.base import Exporter, versions_of
from edgeferry.exporters.preparation import ENTRY_SCOPE
from edgeferry.exporters.recipes import Recipe
from edgeferry.exporters.standards import model_info
from edgeferry.exporters.statistics import Calibration, Statistics, collect

if TYPE_CHECKING:
    from openvino import Model


class OpenVinoExporter(Exporter["Model"]):
    """Writes ``.xml`` and ``.bin``; what its precisions share is the float model."""

    format: ClassVar[Format] = "openvino"
    suffixes: ClassVar[tuple[str, ...]] = (".xml", ".bin")

    def prepare(self) -> Model:
        """Convert the graph to a float model."""
        self.progress("converting", 0, 1)
        return convert(self.source.graph, self.source.contract)

    def export(
        self, prepared: Model, recipe: Recipe, calibration: Calibration | None, destination: Path
    ) -> None:
        """Write one artifact."""
        model = prepared
        if recipe.precision == "int8":
            assert calibration is not None
            model = self._quantize(prepared, recipe, calibration)
        write(model, self.contract(recipe, calibration), destination, recipe.precision == "fp16")

    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """OpenVINO's, and NNCF's where it is used."""
        return versions_of(["openvino", "nncf"] if precision == "int8" else ["openvino"])

    def _collect(self, prepared: Model, calibration: Calibration) -> Statistics:
        from edgeferry.exporters.openvino_activations import OpenVinoActivationReader
        from edgeferry.exporters.openvino_bias import channel_axes

        reader = OpenVinoActivationReader(prepared, self.threads)
        return collect(reader, calibration, channel_axes(prepared), self.progress)

    def _quantize(self, model: Model, recipe: Recipe, calibration: Calibration) -> Model:
        """Let NNCF place the quantizers, which one batch is enough for; the ranges are ours."""
        from edgeferry.exporters.openvino_bias import corrected
        from edgeferry.exporters.openvino_network import openvino_network
        from edgeferry.exporters.openvino_ranges import put_ranges

        channels = self.statistics(model, calibration).channels
        network = openvino_network(model)
        left = network.float_group(recipe.float_layers)
        scope = {*entry_operations(model), *left, *network.tail().behind}
        right = corrected(model, channels, left)
        placed = place_quantizers(right, scope, next(iter(calibration)).pictures)
        put_ranges(placed, self.ranges(model, recipe, calibration), channels)
        return placed


def place_quantizers(model: Model, left: Collection[str], batch: NDArray[np.uint8]) -> Model:
    """Quantize with NNCF: weights for good, activations with the ranges of one batch.

    Args:
        model: A float model.
        left: Names of the operations that stay float.
        batch: uint8 pictures as the model takes them.
    """
    import nncf

    # Biases are corrected already, by measured means: NNCF's own correction takes the rounding
    # of a layer's mean input for a shift, docs/decisions/0004.
    return nncf.quantize(
        model,
        nncf.Dataset([batch]),
        subset_size=1,
        ignored_scope=nncf.IgnoredScope(names=sorted(left), validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )


def entry_operations(model: Model) -> list[str]:
    """Names of the picture arithmetic, which NNCF leaves alone."""
    return [
        op.get_friendly_name()
        for op in model.get_ordered_ops()
        if op.get_friendly_name().startswith(f"{ENTRY_SCOPE}/") and op.get_type_name() != "Constant"
    ]


def convert(graph: Path, contract: Contract) -> Model:
    """Convert a frozen graph, its tensors named as the contract says."""
    import openvino

    from edgeferry.exporters.openvino_names import name_layers

    model = openvino.convert_model(graph)
    model.inputs[0].set_names({INPUT_NAME})
    for name in contract.output_names:
        model.output(f"{name}:0").set_names({name})
    name_layers(model, graph)
    return model


def write(model: Model, contract: Contract, destination: Path, compress: bool) -> None:
    """Write a model with its contract and the ``model_info`` that OpenVINO's Model API reads."""
    import openvino

    _number_constants(model)
    for key in ("conversion_parameters", "nncf"):
        if model.has_rt_info(key):
            del model.rt_info[key]
    model.get_parameters()[0].layout = openvino.Layout("NHWC")
    model.set_rt_info(contract.to_json(), list(RT_INFO_PATH))
    for key, value in model_info(contract).items():
        model.set_rt_info(value, ["model_info", key])
    model.set_friendly_name(contract.source.name)
    openvino.save_model(model, destination, compress_to_fp16=compress)


def _number_constants(model: Model) -> None:
    """Name what OpenVINO numbered by how many operations the process had made before."""
    for number, op in enumerate(model.get_ordered_ops()):
        kind = op.get_type_name()
        if kind in ("Constant", "Convert") and op.get_friendly_name().startswith(f"{kind}_"):
            op.set_friendly_name(f"{kind}_{number}")
