"""Every operator that can be taken over, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeferry.onnx_source import convolutions, elementwise, matrices, pools, resizes, shapes
from edgeferry.onnx_source.values import Call, Tensor, Value

Operator = Callable[[Call], Sequence[Value]]


def operators() -> Mapping[str, Operator]:
    """The operators; TensorFlow is needed."""
    import tensorflow as tf

    unary, broadcast, reduced = elementwise.unary, elementwise.broadcast, matrices.reduced
    return {
        "Conv": convolutions.convolution,
        "ConvTranspose": convolutions.transposed_convolution,
        "BatchNormalization": convolutions.batch_normalization,
        "InstanceNormalization": convolutions.instance_normalization,
        "LayerNormalization": convolutions.layer_normalization,
        "LRN": convolutions.local_response_normalization,
        "MaxPool": pools.max_pool,
        "AveragePool": pools.average_pool,
        "GlobalAveragePool": pools.global_pool,
        "GlobalMaxPool": pools.global_pool,
        "Add": broadcast(tf.add),
        "Sum": broadcast(tf.add),
        "Sub": broadcast(tf.subtract),
        "Mul": broadcast(tf.multiply),
        "Div": broadcast(tf.divide),
        "Pow": broadcast(tf.pow),
        "Max": broadcast(tf.maximum),
        "Min": broadcast(tf.minimum),
        "Equal": broadcast(tf.equal),
        "Less": broadcast(tf.less),
        "Greater": broadcast(tf.greater),
        "Where": elementwise.where,
        "Cast": elementwise.cast,
        "Clip": elementwise.clip,
        "PRelu": elementwise.prelu,
        "Relu": unary(lambda x, call: tf.nn.relu(x)),
        "LeakyRelu": unary(lambda x, call: tf.nn.leaky_relu(x, call.attributes.get("alpha", 0.01))),
        "Elu": unary(lambda x, call: tf.nn.elu(x)),
        "Selu": unary(lambda x, call: tf.nn.selu(x)),
        "Sigmoid": unary(lambda x, call: tf.sigmoid(x)),
        "HardSigmoid": unary(elementwise.hard_sigmoid),
        "HardSwish": unary(elementwise.hard_swish),
        "Gelu": unary(elementwise.gelu),
        "Mish": unary(lambda x, call: x * tf.tanh(tf.nn.softplus(x))),
        "Softplus": unary(lambda x, call: tf.nn.softplus(x)),
        "Tanh": unary(lambda x, call: tf.tanh(x)),
        "Erf": unary(lambda x, call: tf.math.erf(x)),
        "Exp": unary(lambda x, call: tf.exp(x)),
        "Log": unary(lambda x, call: tf.math.log(x)),
        "Sqrt": unary(lambda x, call: tf.sqrt(x)),
        "Reciprocal": unary(lambda x, call: 1.0 / x),
        "Neg": unary(lambda x, call: -x),
        "Abs": unary(lambda x, call: tf.abs(x)),
        "Floor": unary(lambda x, call: tf.floor(x)),
        "Ceil": unary(lambda x, call: tf.math.ceil(x)),
        "Not": unary(lambda x, call: tf.logical_not(x)),
        "Identity": unary(lambda x, call: x),
        "Dropout": unary(lambda x, call: x),
        "Gemm": matrices.gemm,
        "MatMul": matrices.product,
        "Softmax": matrices.softmax,
        "LogSoftmax": matrices.softmax,
        "ReduceMean": reduced(tf.reduce_mean),
        "ReduceSum": reduced(tf.reduce_sum),
        "ReduceMax": reduced(tf.reduce_max),
        "ReduceMin": reduced(tf.reduce_min),
        "ArgMax": matrices.largest,
        "Reshape": shapes.reshape,
        "Flatten": shapes.flatten,
        "Transpose": shapes.transpose,
        "Concat": shapes.concatenation,
        "Split": shapes.split,
        "Slice": shapes.part,
        "Pad": shapes.border,
        "Squeeze": shapes.squeeze,
        "Unsqueeze": shapes.unsqueeze,
        "Gather": shapes.gather,
        "Shape": shapes.shape,
        "Expand": shapes.expand,
        "Tile": shapes.tile,
        "Resize": resizes.resize,
        "Upsample": resizes.resize,
    }


__all__ = ["Operator", "Tensor", "operators"]
