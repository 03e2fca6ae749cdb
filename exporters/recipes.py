"""Recipes: how each precision is reached, as named, frozen data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgeferry.calibration.ranges import AUTO
from edgeferry.contract import ControlInfo, Precision
from edgeferry.errors import UsageError

IntegerType = Literal["uint8", "int8"]


@dataclass(frozen=True)
class Recipe:
    """How one artifact is made.

    Attributes:
        name: Recorded in the contract.
        precision: Precision it gives.
        file_tag: What stands for it in file names.
        activations: Integer type of activations; weights are int8, symmetric, per channel.
        method: How the ranges of activations are found; ``auto`` is the format's best.
        equalize: Whether channels are equalized across layers first.
        float_layers: Layers left in float, by their names in the source.
        control: What controlled the accuracy, for the contract.
    """

    name: str
    precision: Precision
    file_tag: str
    activations: IntegerType = "int8"
    method: str = AUTO
    equalize: bool = False
    float_layers: tuple[str, ...] = ()
    control: ControlInfo | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Recipe":
        """A recipe from what ``dataclasses.asdict`` gave, also by way of JSON."""
        layers, control = tuple(data["float_layers"]), data["control"]
        return cls(
            **{**data, "float_layers": layers, "control": control and ControlInfo(**control)}
        )


FP32 = Recipe("fp32", "fp32", "fp32")
FP16 = Recipe("fp16", "fp16", "fp16")
INT8 = Recipe("int8-static", "int8", "int8")
INT8_U8S8 = Recipe("int8-static-u8s8", "int8", "int8", "uint8")
INT8_S8S8 = Recipe("int8-static-s8s8", "int8", "int8-arm", "int8")

TARGETS = ("x86", "arm")
"""Processor families; only ONNX Runtime cares which integer types it is given."""


def recipes_for(
    format: str, precisions: Sequence[Precision], targets: Sequence[str]
) -> list[Recipe]:
    """The recipes that an export of one format runs through.

    Raises:
        UsageError: If a target is unknown.
    """
    if unknown := set(targets) - set(TARGETS):
        raise UsageError(f"unknown target {sorted(unknown)[0]!r}; known: {', '.join(TARGETS)}")
    recipes: list[Recipe] = []
    for precision in precisions:
        if precision != "int8":
            recipes.append({"fp32": FP32, "fp16": FP16}[precision])
        elif format == "onnx":
            recipes += [{"x86": INT8_U8S8, "arm": INT8_S8S8}[target] for target in targets]
        else:
            recipes.append(INT8)
    return recipes
