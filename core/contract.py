"""The contract that travels inside every artifact: what goes in, what comes out, where it is from.

In: one tensor ``image``, uint8 ``[N, height, width, channels]``, RGB or grayscale. Out, by task,
float32: ``probabilities`` ``[N, classes]`` for classification and ``[N, height, width, classes]``
for segmentation; ``boxes`` ``[N, M, 4]`` (x1, y1, x2, y2 as shares of the input) and ``scores``
``[N, M, classes]`` for detection, before non-maximum suppression; ``embedding`` ``[N, length]``;
for raw whatever the source gives, by its names. Everything between is in the graph; decoding,
orientation, resizing and cropping are the host's part and follow ``ResizeRule``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, get_args

from edgeferry.errors import ContractError

SCHEMA_VERSION = 3
"""2 added ``quantization``, 3 added ``outputs`` and other tasks; older ones are read as without."""
INPUT_NAME = "image"
PROBABILITIES, EMBEDDING, BOXES, SCORES = "probabilities", "embedding", "boxes", "scores"
"""Names of the outputs, where the task says them."""

Task = Literal["classification", "segmentation", "detection", "embedding", "raw"]
ResizeMethod = Literal["shorter", "squash", "pad"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Preprocessing = Literal["caffe", "torch", "tf", "zero_one", "none"]
Head = Literal["softmax", "sigmoid", "none"]
Precision = Literal["fp32", "fp16", "int8"]
Format = str
"""One of ``FORMATS``, or one that another package brings."""
FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
"""Those that edgeferry brings."""


@dataclass(frozen=True)
class ResizeRule:
    """How the host brings a picture to the network's size.

    Attributes:
        method: ``shorter`` scales until the picture covers the target divided by ``crop_ratio``
            and crops its center; ``squash`` ignores the aspect ratio; ``pad`` fits the whole
            picture inside and fills the rest with black.
        crop_ratio: Share of the scaled picture that the center crop keeps, in (0, 1];
            only ``shorter`` uses it.
        interpolation: Pillow's resampling filter, antialiased when shrinking.
    """

    method: ResizeMethod = "shorter"
    crop_ratio: float = 0.875
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        _require_choice("resize method", self.method, get_args(ResizeMethod))
        _require_choice("interpolation", self.interpolation, get_args(Interpolation))
        if not 0 < self.crop_ratio <= 1:
            raise ContractError(f"crop ratio {self.crop_ratio} is not in (0, 1]")


@dataclass(frozen=True)
class InputSpec:
    """The one input tensor: uint8 ``[batch, height, width, channels]``.

    Attributes:
        height: Pixels.
        width: Pixels.
        channels: 3 (RGB) or 1 (grayscale).
        batch: Pictures per inference; None is any number.
        resize: The host's part of the preprocessing.
    """

    height: int
    width: int
    channels: int = 3
    batch: int | None = 1
    resize: ResizeRule = field(default_factory=ResizeRule)

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, 1 if self.batch is None else self.batch)
        if self.channels not in (1, 3) or any(type(n) is not int or n < 1 for n in sizes):
            raise ContractError(f"input of {self.shape} is not a picture's shape")

    @property
    def shape(self) -> tuple[int | None, int, int, int]:
        """Shape of the tensor, None where the batch is dynamic."""
        return (self.batch, self.height, self.width, self.channels)


@dataclass(frozen=True)
class OutputSpec:
    """One output tensor, float32.

    Attributes:
        name: Its name in every format.
        shape: Of one picture: without the batch axis.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class SourceInfo:
    """The trained model an artifact was made from.

    Attributes:
        name: Its name, without folder or suffix.
        sha256: Digest of its configuration and weights, hexadecimal.
        preprocessing: What the trained model expects, folded into the artifact.
        signature: The one of a SavedModel that was asked for; empty for the usual one.
    """

    name: str
    sha256: str
    preprocessing: Preprocessing
    signature: str = ""


@dataclass(frozen=True)
class CalibrationInfo:
    """The pictures that int8 ranges were measured on.

    Attributes:
        method: Name of the range-finding method.
        images: Number of pictures used.
        sha256: Digest of the pictures as the network saw them, in order, hexadecimal.
    """

    method: str
    images: int
    sha256: str


@dataclass(frozen=True)
class ControlInfo:
    """What accuracy-controlled export measured before it wrote an artifact.

    Attributes:
        max_drop: Largest drop asked for, percentage points.
        drop: The drop measured against the fp32 artifact of the same format.
        measure: What dropped: ``top1``, or ``agreement`` where the pictures had no labels.
        images: Number of validation pictures.
        attempts: How many ways to quantize were tried, this one included.
    """

    max_drop: float
    drop: float
    measure: Literal["top1", "agreement"]
    images: int
    attempts: int


@dataclass(frozen=True)
class QuantizationInfo:
    """How the network was made integer, the ranges aside.

    Attributes:
        repairs: What was done against the error, e.g. ``bias-correction``.
        float_layers: Layers left in float, by their names in the source.
        control: How the accuracy was controlled; None where it was not asked for.
    """

    repairs: tuple[str, ...] = ()
    float_layers: tuple[str, ...] = ()
    control: ControlInfo | None = None


@dataclass(frozen=True)
class Contract:
    """What every artifact carries inside itself.

    Attributes:
        task: What the outputs mean.
        input: The input tensor and the resize rule.
        classes: Number of them; 0 where the task knows none.
        labels: One per class, or None.
        head: The activation that ends the graph, in float; ``none`` where the outputs are as
            the source gives them.
        precision: ``fp32``, ``fp16`` or ``int8``.
        recipe: Name of the quantization recipe; for float artifacts the precision.
        source: The trained model.
        calibration: The calibration set; None for float artifacts.
        quantization: What else int8 took; None for float artifacts.
        versions: Versions of the tools that made it.
        outputs: The output tensors; for classification they follow from ``classes``.
    """

    task: Task
    input: InputSpec
    classes: int
    labels: tuple[str, ...] | None
    head: Head
    precision: Precision
    recipe: str
    source: SourceInfo
    calibration: CalibrationInfo | None = None
    quantization: QuantizationInfo | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[OutputSpec, ...] = ()

    def __post_init__(self) -> None:
        _require_choice("task", self.task, get_args(Task))
        _require_choice("head", self.head, get_args(Head))
        _require_choice("precision", self.precision, get_args(Precision))
        if self.labels is not None and len(self.labels) != self.classes:
            raise ContractError(f"{len(self.labels)} labels for {self.classes} classes")
        if self.task == "classification":
            object.__setattr__(self, "outputs", (OutputSpec(PROBABILITIES, (self.classes,)),))
        elif not self.outputs:
            raise ContractError(f"the contract names no outputs of its {self.task}")

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the output tensors, in order."""
        return tuple(output.name for output in self.outputs)

    def label(self, index: int) -> str:
        """Label of a class, its number where the network came without labels."""
        return self.labels[index] if self.labels else str(index)

    def with_artifact(
        self,
        precision: Precision,
        recipe: str,
        calibration: CalibrationInfo | None = None,
        quantization: QuantizationInfo | None = None,
    ) -> Self:
        """This contract for an artifact of the given precision and recipe."""
        return replace(
            self,
            precision=precision,
            recipe=recipe,
            calibration=calibration,
            quantization=quantization,
        )

    def with_versions(self, **versions: str) -> Self:
        """This contract with the versions of further tools."""
        return replace(self, versions={**self.versions, **versions})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the schema version first."""
        data = asdict(self)
        data["labels"] = None if self.labels is None else list(self.labels)
        data["versions"] = dict(sorted(self.versions.items()))
        data["outputs"] = [{"name": o.name, "shape": list(o.shape)} for o in self.outputs]
        return {"schema": SCHEMA_VERSION, **data}

    def to_json(self) -> str:
        """Compact JSON, the same bytes for the same contract."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read plain data of this or an older schema.

        Raises:
            ContractError: If it is malformed or of a newer schema.
        """
        schema = data.get("schema")
        if type(schema) is not int:
            raise ContractError("this is no edgeferry contract: it has no schema number")
        if schema > SCHEMA_VERSION:
            raise ContractError(
                f"the contract has schema {schema}, newer than this edgeferry ({SCHEMA_VERSION})",
                "Update it: pip install -U edgeferry",
            )
        try:
            return cls(
                task=data["task"],
                input=_input_from_dict(data["input"]),
                classes=int(data["classes"]),
                labels=None if data["labels"] is None else tuple(map(str, data["labels"])),
                head=data["head"],
                precision=data["precision"],
                recipe=str(data["recipe"]),
                source=SourceInfo(**data["source"]),
                calibration=data["calibration"] and CalibrationInfo(**data["calibration"]),
                quantization=_quantization_from_dict(data.get("quantization")),
                versions=dict(data["versions"]),
                outputs=tuple(map(_output_from_dict, data.get("outputs", ()))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"the contract is malformed: {error!r}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: If it is no JSON, malformed, or of a newer schema.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ContractError(f"the contract is not valid JSON: {error}") from error
        if not isinstance(data, dict):
            raise ContractError("the contract is not a JSON object")
        return cls.from_dict(data)


def _input_from_dict(data: Mapping[str, Any]) -> InputSpec:
    return InputSpec(**{**data, "resize": ResizeRule(**data["resize"])})


def _output_from_dict(data: Mapping[str, Any]) -> OutputSpec:
    return OutputSpec(str(data["name"]), tuple(map(int, data["shape"])))


def _quantization_from_dict(data: Mapping[str, Any] | None) -> QuantizationInfo | None:
    if data is None:
        return None
    return QuantizationInfo(
        repairs=tuple(map(str, data["repairs"])),
        float_layers=tuple(map(str, data["float_layers"])),
        control=data["control"] and ControlInfo(**data["control"]),
    )


def _require_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ContractError(f"unknown {what} {value!r}; known: {', '.join(choices)}")
