"""OpenVINO: converted by its own front end, quantized by NNCF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgeferry.artifact import RT_INFO_PATH
from edgeferry.calibration.ranges import TAIL
from edgeferry.contract import INPUT_NAME, Contract, Format, Precision
from edgeferry.errors import UsageError
from edgeferry.exporters.base import Calibration, Exporter, versions_of
from edgeferry.exporters.preparation import ENTRY_SCOPE
from edgeferry.exporters.recipes import Recipe
from edgeferry.telemetry import disable_telemetry

if TYPE_CHECKING:
    from openvino import Model


class OpenVinoExporter(Exporter["Model"]):
    """Writes ``.xml`` and ``.bin``; what its precisions share is the float model."""

    format: ClassVar[Format] = "openvino"
    suffixes: ClassVar[tuple[str, ...]] = (".xml", ".bin")
    best_method: ClassVar[str] = "minmax"

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
            model = self._quantize(prepared, calibration)
        write(model, self.contract(recipe, calibration), destination, recipe.precision == "fp16")

    def tool_versions(self, precision: Precision) -> dict[str, str]:
        """OpenVINO's, and NNCF's where it is used."""
        return versions_of(["openvino", "nncf"] if precision == "int8" else ["openvino"])

    def _quantize(self, model: Model, calibration: Calibration) -> Model:
        disable_telemetry()
        import nncf

        total = len(calibration)

        def batches() -> Any:
            for done, batch in enumerate(calibration):
                self.progress("calibrating", done, total)
                yield batch

        return nncf.quantize(
            model.clone(),
            nncf.Dataset(_Streamed(batches)),
            subset_size=total,
            ignored_scope=float_scope(model, self.source.contract),
            advanced_parameters=_advanced(calibration.info.method),
        )


class _Streamed:
    """An iterable that starts over each time it is asked, as NNCF's passes need."""

    def __init__(self, start: Any) -> None:
        self._start = start

    def __iter__(self) -> Any:
        return self._start()


def _advanced(method: str) -> Any:
    import nncf
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    def tail(aggregator: AggregatorType) -> StatisticsCollectorParameters:
        return StatisticsCollectorParameters(
            StatisticsType.QUANTILE, aggregator, quantile_outlier_prob=TAIL
        )

    estimators = {
        "minmax": RangeEstimatorParametersSet.MINMAX,
        # Of each picture by itself: NNCF has no quantile over all of them without keeping them.
        "percentile": RangeEstimatorParameters(tail(AggregatorType.MIN), tail(AggregatorType.MAX)),
    }
    if method not in estimators:
        raise UsageError(f"calibration method {method!r} is not for OpenVINO")
    # NNCF corrects a bias by what its layer gives for the mean of each input channel, and so
    # takes that mean's own rounding for a shift: worse than none, docs/decisions/0004.
    return nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=estimators[method], disable_bias_correction=True
    )


def float_scope(model: Model, contract: Contract) -> Any:
    """What NNCF leaves alone: picture arithmetic and the last activation."""
    import nncf

    names = [
        op.get_friendly_name()
        for op in model.get_ordered_ops()
        if (
            op.get_friendly_name().startswith(f"{ENTRY_SCOPE}/")
            and op.get_type_name() != "Constant"
        )
        or op.get_friendly_name() == contract.output_name
    ]
    return nncf.IgnoredScope(names=names, validate=False)


def convert(graph: Path, contract: Contract) -> Model:
    """Convert a frozen graph, its tensors named as the contract says."""
    disable_telemetry()
    import openvino

    model = openvino.convert_model(graph)
    model.inputs[0].set_names({INPUT_NAME})
    model.outputs[0].set_names({contract.output_name})
    return model


def write(model: Model, contract: Contract, destination: Path, compress: bool) -> None:
    """Write a model with its contract and the ``model_info`` that OpenVINO's Model API reads."""
    import openvino

    for key in ("conversion_parameters", "nncf"):
        if model.has_rt_info(key):
            del model.rt_info[key]
    model.set_rt_info(contract.to_json(), list(RT_INFO_PATH))
    for key, value in model_info(contract).items():
        model.set_rt_info(value, ["model_info", key])
    model.friendly_name = contract.source.name
    openvino.save_model(model, destination, compress_to_fp16=compress)


def model_info(contract: Contract) -> dict[str, str]:
    """The standard description of a classifier for OpenVINO's Model API."""
    resize = {"shorter": "crop", "squash": "standard", "pad": "fit_to_window_letterbox"}
    labels = contract.labels or ()
    return {
        "model_type": "Classification",
        "labels": " ".join("_".join(label.split()) for label in labels),
        "resize_type": resize[contract.input.resize.method],
        "multilabel": str(contract.head == "sigmoid"),
    }
