"""One vocabulary for what the engines call their operations and types."""

from collections.abc import Mapping, Sequence
from math import prod

_KINDS: Mapping[str, tuple[str, ...]] = {
    "Conv": (
        "Conv2D",
        "Convolution",
        "ConvInteger",
        "QLinearConv",
        "FusedConv",
        "NhwcFusedConv",
        "_FusedConv2D",
    ),
    "DepthwiseConv": ("DepthwiseConv2D", "DepthwiseConv2dNative", "GroupConvolution"),
    "ConvTranspose": ("TransposeConv", "ConvolutionBackpropData", "Deconvolution"),
    "MatMul": (
        "FullyConnected",
        "Gemm",
        "FusedGemm",
        "FusedMatMul",
        "QGemm",
        "QLinearMatMul",
        "MatMulInteger",
        "BatchMatMul",
        "InnerProduct",
    ),
    "Add": ("QLinearAdd", "AddV2"),
    "Bias": ("BiasAdd",),
    "Sub": ("Subtract",),
    "Mul": ("Multiply", "QLinearMul"),
    "Div": ("Divide", "RealDiv"),
    "Relu": ("Relu6",),
    "Sigmoid": ("Logistic", "QLinearSigmoid"),
    "Softmax": ("QLinearSoftmax", "LogSoftmax"),
    "Pool": (
        "MaxPool",
        "MaxPool2D",
        "NhwcMaxPool",
        "AveragePool",
        "AveragePool2D",
        "AvgPool",
        "QLinearAveragePool",
        "Pooling",
        "MaxPooling",
        "AveragePooling",
    ),
    "Mean": ("GlobalAveragePool", "QLinearGlobalAveragePool", "ReduceMean", "QLinearReduceMean"),
    "Pad": ("PadV2", "MirrorPad", "ConstantPad"),
    "Resize": ("ResizeBilinear", "ResizeNearestNeighbor", "Interpolate", "Upsample"),
    "Transpose": (),
    "Reshape": ("Squeeze", "Unsqueeze", "ExpandDims", "Flatten", "StaticReshape"),
    "Concat": ("Concatenation", "ConcatV2", "QLinearConcat"),
    "Cast": ("Convert",),
    "Quantize": ("QuantizeLinear", "DynamicQuantizeLinear", "FakeQuantize"),
    "Dequantize": ("DequantizeLinear",),
    "Reorder": ("ReorderInput", "ReorderOutput"),
}
_PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "int8": ("i8", "u8", "uint8"),
    "fp16": ("f16", "float16"),
    "bf16": ("bfloat16",),
    "fp32": ("f32", "float", "float32"),
}


def _key(name: str) -> str:
    return name.replace("_", "").lower()


_KIND_BY_NAME = {_key(name): kind for kind, names in _KINDS.items() for name in (kind, *names)}
_PRECISION_BY_NAME = {name: key for key, names in _PRECISIONS.items() for name in (key, *names)}

WEIGHTED_KINDS = frozenset({"Conv", "DepthwiseConv", "MatMul"})
"""Kinds that hold most of a network's weights and take most of its time."""
CONVERSIONS = frozenset({"Cast", "Quantize", "Dequantize"})
"""Kinds whose precision is that of their output; that of all others is their input's."""


def kind_of(engine_type: str) -> str:
    """An engine's name for an operation in common terms; its own where there is none."""
    return _KIND_BY_NAME.get(_key(engine_type), engine_type)


def precision_of(engine_type: str) -> str:
    """An engine's name for a data type in common terms: ``int8``, ``fp32``..., or ``other``."""
    return _PRECISION_BY_NAME.get(engine_type.lower(), "other")


def multiply_accumulates(kernel: Sequence[int], output: Sequence[int], channel_axis: int) -> int:
    """Multiplications, each with its addition, of a convolution or matrix product.

    Every weight is used once for each position of the output; that holds for grouped and
    depthwise convolutions too.

    Args:
        kernel: Shape of the weights.
        output: Shape of the result.
        channel_axis: Which of its axes the channels are.
    """
    return prod(kernel) * prod(output) // output[channel_axis]
