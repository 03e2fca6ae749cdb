"""Networks as fine-tuning leaves them: nested, with layers of all kinds, of any depth."""

import numpy as np
import pytest

from edgeferry.exporters.recipes import INT8_U8S8

keras = pytest.importorskip("keras")
layers = keras.layers


@pytest.fixture
def agree(workbench, settle, draw, reference):
    """Every format must answer to fp32 as the Keras model does."""

    def check(model, preprocessing="tf", **options):
        height, width, channels = model.input_shape[1:]
        settle(model, draw(height, width, channels, count=32), preprocessing)
        images = draw(height, width, channels)
        prepared = workbench.prepare(model, preprocessing, **options)
        workbench.require_agreement(prepared, images, reference(model, images, preprocessing))
        return prepared

    return check


def classifier_of(network, *more):
    """A model that holds a network as one of its layers."""
    x = image = keras.Input(network.input_shape[1:])
    for layer in (network, *more):
        x = layer(x)
    return keras.Model(image, x, name="network")


@pytest.mark.parametrize("classes", [3, 37])
def test_class_counts(agree, backbone, classes):
    model = classifier_of(
        backbone(), layers.GlobalAveragePooling2D(), layers.Dense(classes, "softmax")
    )
    assert agree(model).contract.classes == classes


def test_a_sequential_in_a_model_in_a_model(agree, backbone):
    inner = [keras.Input((32, 32, 3)), backbone(), layers.GlobalAveragePooling2D()]
    hidden = [layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(12, "tanh")]
    outer = classifier_of(keras.Sequential([*inner, *hidden]), layers.Dense(4))
    agree(classifier_of(outer, layers.Softmax()))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_additions_of_one_pixel(agree, workbench, draw, reference, precision):
    """Keras traces them as a bias, which converters would take for the convolution's own."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 32)(image))
    for _ in range(2):
        y = layers.Conv2D(8, 1)(layers.ReLU()(layers.Conv2D(8, 1)(x)))
        x = layers.ReLU()(layers.Add()([layers.Conv2D(8, 1)(x), y]))
    model = keras.Model(image, layers.Dense(4, "softmax")(layers.Flatten()(x)), name="pixel")
    prepared = agree(model)
    if precision == "int8":
        images = draw()
        files = workbench.export(prepared, INT8_U8S8, images)
        for format, answers in workbench.answers(files, images).items():
            expected = reference(model, images)
            np.testing.assert_allclose(answers, expected, atol=0.05, err_msg=format)


def test_layers_of_all_kinds(agree):
    keras.utils.set_random_seed(0)
    x = image = keras.Input((32, 32, 3))
    x = layers.SeparableConv2D(8, 3, padding="same")(layers.RandomFlip(seed=1)(x))
    x = layers.ReLU(max_value=6)(layers.BatchNormalization()(x))
    branches = [layers.Conv2D(4, 3, groups=2, strides=2)(x), layers.MaxPool2D(4, strides=2)(x)]
    x = layers.PReLU(shared_axes=[1, 2])(layers.Concatenate()(branches))
    x = layers.SpatialDropout2D(0.5)(layers.LayerNormalization()(x))
    weights = layers.Dense(12, "sigmoid")(layers.GlobalMaxPooling2D(keepdims=True)(x))
    x = layers.AveragePooling2D(2)(layers.Multiply()([x, weights]))
    x = layers.UpSampling2D(2)(layers.Activation("swish")(x))
    x = layers.Conv2D(8, 3, dilation_rate=2, activation="elu")(x)
    agree(keras.Model(image, layers.Dense(4, "softmax")(layers.Flatten()(x)), name="network"))
