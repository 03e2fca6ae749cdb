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
from math import prod
from typing import Any, Literal, Self, TypeVar, get_args

from edgeferry.checked import line, read_json, record, several, whole_number
from edgeferry.errors import ContractError
from edgeferry.sealing import UNSEALED, is_digest

SCHEMA_VERSION = 4
"""2 added ``quantization``, 3 ``outputs`` and other tasks, 4 ``integrity``; older ones are read as
without."""
INPUT_NAME = "image"
PROBABILITIES, EMBEDDING, BOXES, SCORES = "probabilities", "embedding", "boxes", "scores"
"""Names of the outputs, where the task says them."""

Value = TypeVar("Value")
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
_MOST_PIXELS = 1 << 26
"""Of an input, all its pictures together: what claims more wants the memory, not pictures."""


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
        whole = all(type(n) is int and n > 0 for n in (*sizes, self.channels))
        if not whole or self.channels not in (1, 3) or prod(sizes) > _MOST_PIXELS:
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
class IntegrityInfo:
    """Digests of the artifact's own files, by which a changed byte is found.

    Attributes:
        sha256: Of the file that holds it, with these 64 characters taken as zeros, hexadecimal.
        weights_sha256: Of the weights, where they are in a file apart.
    """

    sha256: str
    weights_sha256: str | None = None

    def __post_init__(self) -> None:
        told = [self.sha256, *([] if self.weights_sha256 is None else [self.weights_sha256])]
        if not all(map(is_digest, told)):
            raise ContractError("the contract's digest of its own file is damaged")


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
        integrity: Digests of the artifact's own files; None for what carries none.
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
    integrity: IntegrityInfo | None = None

    def __post_init__(self) -> None:
        _require_choice("task", self.task, get_args(Task))
        _require_choice("head", self.head, get_args(Head))
        _require_choice("precision", self.precision, get_args(Precision))
        if self.labels is not None and len(self.labels) != self.classes:
            raise ContractError(f"{len(self.labels)} labels for {self.classes} classes")
        if self.task == "classification":
            object.__setattr__(self, "outputs", (OutputSpec(PROBABILITIES, (self.classes,)),))
        elif not _outputs_suit(self.task, self.outputs, self.classes):
            raise ContractError(f"the contract's outputs do not suit its task, {self.task}")

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
            integrity=None,
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
                classes=whole_number(data["classes"]),
                labels=None if data["labels"] is None else several(data["labels"], line),
                head=data["head"],
                precision=data["precision"],
                recipe=line(data["recipe"]),
                source=record(SourceInfo, data["source"]),
                calibration=_maybe(CalibrationInfo, data["calibration"]),
                quantization=_quantization_from_dict(data.get("quantization")),
                versions={line(name): line(told) for name, told in data["versions"].items()},
                outputs=several(data.get("outputs", ()), _output_from_dict),
                integrity=_integrity_from_dict(data, required=schema >= 4),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ContractError(f"the contract is malformed: {error!r:.200}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: If it is no JSON, malformed, or of a newer schema.
        """
        try:
            data = read_json(text)
        except ValueError as error:
            raise ContractError(f"the contract is not valid JSON: {error}") from error
        if not isinstance(data, dict):
            raise ContractError("the contract is not a JSON object")
        return cls.from_dict(data)


def _input_from_dict(data: Mapping[str, Any]) -> InputSpec:
    return InputSpec(**{**data, "resize": ResizeRule(**data["resize"])})


def _output_from_dict(data: Mapping[str, Any]) -> OutputSpec:
    return OutputSpec(line(data["name"]), several(data["shape"], whole_number))


def _maybe(kind: type[Value], data: Any) -> Value | None:
    return None if data is None else record(kind, data)


def _quantization_from_dict(data: Mapping[str, Any] | None) -> QuantizationInfo | None:
    if data is None:
        return None
    return QuantizationInfo(
        repairs=several(data["repairs"], line),
        float_layers=several(data["float_layers"], line),
        control=_maybe(ControlInfo, data["control"]),
    )


def _integrity_from_dict(data: Mapping[str, Any], required: bool) -> IntegrityInfo | None:
    """None also where the digest has not been put in."""
    told = data["integrity"] if required else data.get("integrity")
    info = None if told is None else IntegrityInfo(**told)
    return None if info is None or info.sha256 == UNSEALED else info


def _outputs_suit(task: Task, outputs: tuple[OutputSpec, ...], classes: int) -> bool:
    """Whether they have the names and axes that the task gives them."""
    match task, sorted((output.name, *output.shape) for output in outputs):
        case "segmentation", [(name, _, _, last)]:
            return (name, last) == (PROBABILITIES, classes)
        case "detection", [(first, count, 4), (second, same, last)]:
            return (first, second, same, last) == (BOXES, SCORES, count, classes)
        case "embedding", [(name, _)]:
            return name == EMBEDDING
        case "raw", named:
            return len({name for name, *_ in named}) == len(named) > 0
    return False


def _require_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ContractError(f"unknown {what} {value!r}; known: {', '.join(choices)}")
