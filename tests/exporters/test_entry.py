"""From uint8 pixels to what the network was trained on: exact, and as little as possible."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers, ops = keras.layers, keras.ops

PREPROCESSING = ("caffe", "torch", "tf", "zero_one", "none")


def left_over(prepared):
    """The operations between the picture and the network."""
    graph = tf.compat.v1.GraphDef.FromString(prepared.graph.read_bytes())
    nodes = [node for node in graph.node if node.name.startswith("entry/")]
    return [node.op for node in nodes if node.op != "Const"]


@pytest.mark.parametrize("preprocessing", PREPROCESSING)
def test_every_preprocessing_is_exact(workbench, classifier, draw, reference, preprocessing):
    model = classifier(preprocessing=preprocessing)
    prepared = workbench.prepare(model, preprocessing)
    assert prepared.contract.source.preprocessing == preprocessing
    workbench.require_agreement(prepared, draw(), reference(model, draw(), preprocessing))


@pytest.mark.parametrize("preprocessing", PREPROCESSING)
def test_scale_and_channel_order_go_into_the_first_kernel(workbench, classifier, preprocessing):
    prepared = workbench.prepare(classifier(preprocessing=preprocessing), preprocessing)
    without_mean = preprocessing in ("zero_one", "none")
    assert left_over(prepared) == (["Cast"] if without_mean else ["Cast", "Sub"])


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(90, 30, (8, 4, 4, 3)).astype(np.float32))
    return [layer]


def given():
    return [layers.Normalization(mean=[100.0, 90.0, 110.0], variance=[900.0, 1600.0, 2500.0])]


INSIDE = {
    "rescaling": lambda: [layers.Rescaling(1 / 127.5, -1)],
    "rescaling by channel": lambda: [layers.Rescaling([0.01, 0.02, 0.03], [0.0, -1.0, -2.0])],
    "adapted": adapted,
    "given": given,
    "inverse": lambda: [layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6], invert=True)],
    "batch norm": lambda: [layers.BatchNormalization()],
    "several": lambda: [layers.Rescaling(0.5, 3.0), *given(), layers.BatchNormalization()],
}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("preprocessing", ["none", "caffe"])
def test_normalization_inside_the_network_is_folded(
    workbench, classifier, draw, reference, name, preprocessing
):
    model = classifier(INSIDE[name](), preprocessing=preprocessing)
    prepared = workbench.prepare(model, preprocessing)
    assert left_over(prepared) in (["Cast"], ["Cast", "Sub"])
    workbench.require_agreement(prepared, draw(), reference(model, draw(), preprocessing))


def test_augmentation_and_dropout_do_nothing(workbench, classifier, draw, reference):
    front = [
        layers.RandomFlip(),
        layers.RandomRotation(0.2),
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.3),
        layers.RandomBrightness(0.3),
        layers.GaussianNoise(0.5),
        layers.SpatialDropout2D(0.5),
        layers.Rescaling(1 / 100, -1),
    ]
    model = classifier(front, preprocessing="none")
    prepared = workbench.prepare(model, "none")
    assert left_over(prepared) == ["Cast", "Sub"]
    workbench.require_agreement(prepared, draw(), reference(model, draw(), "none"))


def two_readers(x):
    return layers.Concatenate()([layers.Conv2D(4, 3)(x), layers.Conv2D(4, 3)(x)])


NOT_FOLDED = {
    "two readers": two_readers,
    "depthwise": lambda x: layers.DepthwiseConv2D(3)(x),
    "grouped": lambda x: layers.Conv2D(6, 3, groups=3)(x),
    "resizing": lambda x: layers.Resizing(24, 24)(x),
    "padding with ones": lambda x: ops.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], constant_values=1),
}


@pytest.mark.parametrize("name", NOT_FOLDED)
@pytest.mark.parametrize("preprocessing", ["caffe", "torch"])
def test_where_nothing_can_be_folded_it_stays(
    workbench, classifier, draw, reference, name, preprocessing
):
    model = classifier([NOT_FOLDED[name]], preprocessing=preprocessing)
    prepared = workbench.prepare(model, preprocessing)
    workbench.require_agreement(prepared, draw(), reference(model, draw(), preprocessing))


@pytest.mark.parametrize("behind", [layers.Conv2D, layers.DepthwiseConv2D])
def test_a_channel_that_is_blotted_out(workbench, classifier, draw, reference, behind):
    norm = layers.BatchNormalization()
    convolution = behind(4, 3) if behind is layers.Conv2D else behind(3)
    model = classifier([norm, convolution], preprocessing="caffe")
    norm.gamma.assign([1.0, 0.0, 1.0])
    norm.beta.assign([0.2, 1.5, -0.2])
    prepared = workbench.prepare(model, "caffe")
    workbench.require_agreement(prepared, draw(), reference(model, draw(), "caffe"))
