"""int8 on networks that have tripped a quantizer or an engine."""

from collections import Counter

import numpy as np
import pytest

from edgeferry.exporters.recipes import INT8, INT8_U8S8
from edgeferry.runtimes.predictor import load

keras = pytest.importorskip("keras")
layers = keras.layers


@pytest.fixture
def quantized(workbench, draw):
    """Export a model to int8 in every format; give the files."""

    def export(model):
        prepared, images = workbench.prepare(model), draw(count=32)
        files = workbench.export(prepared, INT8, images, ("tflite", "openvino"))
        return files | workbench.export(prepared, INT8_U8S8, images, ("onnx",))

    return export


@pytest.fixture
def close(quantized, workbench, draw, reference):
    """Assert that the int8 artifacts of a model answer about as it does."""

    def check(model):
        expected = reference(model, draw())
        for format, answers in workbench.answers(quantized(model), draw()).items():
            assert np.abs(answers - expected).mean() < 0.02, format

    return check


def softmax_of(x):
    return layers.Dense(5, activation="softmax")(x)


def test_a_hidden_layer_with_batch_norm(classifier, close):
    """OpenVINO on one thread computes one wrongly between two matrix products."""

    def head(x):
        x = layers.BatchNormalization()(layers.Dense(16, activation="relu")(x))
        return softmax_of(layers.Dropout(0.5)(x))

    close(classifier(head=head))


def test_a_layer_that_is_always_zero(classifier, close):
    """Its range is a point, and XNNPACK refuses the steps that follow from it."""
    dead = layers.Dense(6, activation="relu")
    model = classifier(
        head=lambda x: softmax_of(layers.Concatenate()([x, layers.Dense(4)(dead(x))]))
    )
    dead.kernel.assign(dead.kernel * 0)
    dead.bias.assign(dead.bias * 0 - 1)
    close(model)


@pytest.mark.parametrize("classes", [1, 4])
def test_sigmoids(classifier, close, classes):
    close(classifier(head=lambda x: layers.Dense(classes, activation="sigmoid")(x)))


def test_a_softmax_written_out_is_float(classifier, quantized, close):
    def head(x):
        powers = keras.ops.exp(layers.Dense(4)(x))
        return powers / keras.ops.sum(powers, axis=-1, keepdims=True)

    model = classifier(head=head)
    close(model)
    for path in quantized(model).values():
        with load(path, threads=1) as predictor:
            kinds = {each.kind: each.precision for each in predictor.describe().operations}
        assert kinds["Softmax"] == "fp32"


def test_clipped_activations_in_front_of_a_padded_pooling(classifier, quantized):
    def front(x):
        x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(6, 3)(x)))
        return layers.MaxPooling2D(3, 1)(layers.ZeroPadding2D(1)(x))

    for format, path in quantized(classifier([front])).items():
        with load(path, threads=1) as predictor:
            operations = predictor.describe().operations
        kinds = Counter(each.kind for each in operations)
        assert max(kinds["Quantize"], kinds["Dequantize"]) <= 1, (format, kinds)
        pools = {each.precision for each in operations if each.kind in ("Pool", "Pad")}
        assert pools == {"int8"}, format


@pytest.mark.parametrize("pad", [None, "pool", "pad", "concatenation"])
def test_a_depthwise_layer_behind(pad, draw, settle, close):
    """NNCF quantizes by channel what stands before these."""
    keras.utils.set_random_seed(4)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    if pad == "pool":
        x = layers.MaxPooling2D(2)(x)
    elif pad == "pad":
        x = layers.ZeroPadding2D(1)(x)
    elif pad == "concatenation":
        x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu")(x)])
    x = layers.DepthwiseConv2D(3, activation="relu")(x)
    x = layers.SeparableConv2D(6, 3, activation="relu")(x)
    x = softmax_of(layers.GlobalAveragePooling2D()(x))
    close(settle(keras.Model(image, x), draw(count=32)))


def test_scores_of_a_convolution_have_no_integer_steps(classifier, quantized, workbench, draw):
    """As in MobileNet: pooled, then convolved."""

    def head(x):
        x = layers.Conv2D(5, 1)(layers.Reshape((1, 1, x.shape[-1]))(x))
        return layers.Softmax()(layers.Flatten()(x))

    images = draw(count=64)
    files = quantized(classifier(head=head))
    for format, answers in workbench.answers(files, images).items():
        scores = np.log(answers.astype(np.float64))
        steps = np.unique((scores[:, :1] - scores[:, 1:]).round(5))
        assert len(steps) > 0.9 * 4 * len(images), format


def test_scores_that_are_pooled_are_float(classifier, quantized, close):
    """As in SqueezeNet: convolved, then pooled."""

    def head(x):
        x = layers.Conv2D(5, 1, activation="relu")(layers.Reshape((4, 4, 1))(x))
        return layers.Softmax()(layers.GlobalAveragePooling2D()(x))

    model = classifier(head=head)
    close(model)
    for format, path in quantized(model).items():
        with load(path, threads=1) as predictor:
            operations = predictor.describe().operations
        pools = [each.precision for each in operations if each.kind in ("Mean", "Pool")]
        assert pools[-1] == "fp32", format
        assert operations[[each.kind for each in operations].index("Conv")].precision == "int8"


@pytest.mark.parametrize(
    ("activation", "kind"),
    [(lambda: layers.LeakyReLU(0.1), "LEAKY_RELU"), (lambda: layers.ELU(), "ELU")],
    ids=["leaky relu", "elu"],
)
def test_activations_between_integers_are_integers(
    classifier, quantized, workbench, draw, reference, activation, kind
):
    """litert-quantizer leaves them in float, between a dequantization and a quantization."""

    def block(filters):
        return [
            layers.Conv2D(filters, 3, use_bias=False),
            layers.BatchNormalization(),
            activation(),
        ]

    model = classifier([*block(8), *block(12), layers.Conv2D(8, 1)])
    files = quantized(model)
    expected = reference(model, draw())
    for format, answers in workbench.answers(files, draw()).items():
        assert np.abs(answers - expected).mean() < 0.02, format
    with load(files["tflite"], runtime="litert", threads=1) as predictor:
        operations = predictor.describe().operations
    kinds = Counter((each.kind, each.precision) for each in operations)
    assert kinds[kind, "int8"] == 2
    assert kinds["Quantize", "int8"] == 1
    assert kinds["Dequantize", "fp32"] <= 1
