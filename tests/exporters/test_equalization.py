"""Neighboring layers share their channels' scales evenly, and no answer changes by it."""

from itertools import pairwise

import numpy as np
import pytest

from edgeferry.exporters.equalization import equalize, equalized
from edgeferry.exporters.graph import Graph
from edgeferry.exporters.recipes import INT8

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers

import hostile  # noqa: E402  (needs Keras)

LEAST_LOST, MOST_LOST = 5.0, 0.5
"""Percentage points of top-1 that the hostile network loses in int8, as it is and equalized."""


def graph_of(prepared):
    return tf.compat.v1.GraphDef.FromString(prepared.graph.read_bytes())


def run(prepared, images):
    """The prepared graph's own answers, by TensorFlow."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_of(prepared), name="")
        answers = [session.run("probabilities:0", {"image:0": image[None]}) for image in images]
    return np.concatenate(answers)


def parameters(prepared):
    """Weights and biases by the operation that reads them, in order."""
    graph = graph_of(prepared)
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    return {
        node.name: tf.make_ndarray(constants[node.input[1]].attr["value"].tensor)
        for node in graph.node
        if node.op in ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BiasAdd")
        and node.input[1] in constants
    }


def biases(prepared):
    return [value for value in parameters(prepared).values() if value.ndim == 1]


def kernels(prepared):
    return [value for value in parameters(prepared).values() if value.ndim > 1]


def given(kernel):
    """Largest weight of each output channel."""
    return np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))


def taken(kernel):
    """Largest weight of each input channel."""
    return np.abs(kernel).max(axis=(*range(kernel.ndim - 2), kernel.ndim - 1))


def between(middle, second=None):
    """Build two convolutions with something between them, and a head on the second."""
    keras.utils.set_random_seed(6)
    image = keras.Input((32, 32, 3))
    x = middle(layers.Conv2D(8, 3, strides=2, name="first")(image))
    x = (second or layers.Conv2D(12, 3, strides=4, name="second"))(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x), name="network")


@pytest.fixture
def settled(settle, draw):
    return lambda model: settle(model, draw(count=32))


PASSED = {
    "nothing": lambda x: x,
    "relu": layers.ReLU(),
    "leaky relu": layers.LeakyReLU(0.3),
    "max pooling": lambda x: layers.MaxPooling2D(3, 2)(layers.ReLU()(x)),
    "average pooling": lambda x: layers.AveragePooling2D(2, padding="same")(x),
    "zero padding": lambda x: layers.ZeroPadding2D(1)(layers.ReLU()(x)),
}


@pytest.mark.parametrize("middle", PASSED.values(), ids=PASSED)
def test_two_layers_come_to_like_ranges(workbench, settled, draw, reference, middle):
    model = settled(between(middle))
    before = workbench.prepare(model)
    after = equalized(before)
    first, second, _ = kernels(after)
    assert np.abs(np.log(given(kernels(before)[0]) / taken(kernels(before)[1]))).max() > 0.2
    np.testing.assert_allclose(given(first), taken(second), rtol=1e-3)
    expected = reference(model, draw())
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(run(after, draw()), expected, atol=1e-5)


def test_flattened_pictures_share_a_scale_per_channel(workbench, settled, draw, reference):
    model = settled(between(layers.ReLU()))
    _, second, dense = kernels(equalized(workbench.prepare(model)))
    positions = taken(dense).reshape(-1, 12)
    assert len(positions) > 1
    np.testing.assert_allclose(given(second), positions.max(axis=0), rtol=1e-3)


def twice(x):
    return layers.Concatenate()([x, layers.ReLU()(x)])


LEFT_ALONE = {
    "relu6": layers.ReLU(6.0),
    "sigmoid": layers.Activation("sigmoid"),
    "swish": layers.Activation("swish"),
    "two readers": twice,
    "a residual addition": lambda x: layers.Add()([x, layers.ReLU()(x)]),
    "channels moved": layers.Permute((1, 3, 2)),
}


@pytest.mark.parametrize("middle", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_minds_a_scale_keeps_its_weights(workbench, settled, middle):
    before = workbench.prepare(settled(between(middle)))
    after = equalized(before)
    np.testing.assert_array_equal(kernels(after)[0], kernels(before)[0])


def test_a_kernel_with_two_readers_is_left_alone():
    random = np.random.default_rng(0)
    with tf.Graph().as_default() as whole:
        x = tf.compat.v1.placeholder(tf.float32, (1, 8))
        shared = tf.constant(random.normal(0, 1, (8, 8)), tf.float32, name="shared")
        last = tf.constant(random.normal(0, 1, (8, 3)), tf.float32)
        tf.matmul(tf.nn.relu(tf.nn.relu(x @ shared) @ shared), last, name="scores")
    graph = Graph(whole.as_graph_def(), ["scores"])
    before = graph.graph_def()
    equalize(graph)
    assert graph.graph_def() == before


def test_a_layer_used_twice_answers_as_before(workbench, settled, draw, reference):
    shared = layers.Conv2D(8, 3, padding="same")
    model = settled(between(lambda x: shared(layers.ReLU()(shared(layers.ReLU()(x))))))
    after = equalized(workbench.prepare(model))
    np.testing.assert_allclose(run(after, draw()), reference(model, draw()), atol=1e-5)


def test_a_grouped_convolution_takes_no_scales(workbench, settled, draw, reference):
    second = layers.Conv2D(12, 3, strides=4, groups=4)
    model = settled(between(layers.ReLU(), second))
    before = workbench.prepare(model)
    np.testing.assert_array_equal(kernels(equalized(before))[0], kernels(before)[0])
    np.testing.assert_allclose(run(equalized(before), draw()), reference(model, draw()), atol=1e-5)


def test_dead_channels_are_left_alone(workbench, settled, draw, reference):
    model = settled(between(layers.ReLU()))
    first, second = model.get_layer("first"), model.get_layer("second")
    first.kernel.assign(np.asarray(first.kernel) * (np.arange(8) != 2))
    first.kernel.assign(np.asarray(first.kernel) * np.where(np.arange(8) == 5, 1e-30, 1))
    second.kernel.assign(np.asarray(second.kernel) * (np.arange(8) != 3)[:, None])
    before = workbench.prepare(model)
    after = equalized(before)
    bias, old_bias = (
        next(v for v in parameters(p).values() if v.ndim == 1) for p in (after, before)
    )
    dead = [2, 3, 5]
    np.testing.assert_array_equal(bias[dead], old_bias[dead])
    assert (np.delete(bias, dead) != np.delete(old_bias, dead)).all()
    np.testing.assert_allclose(run(after, draw()), reference(model, draw()), atol=1e-5)


def test_a_residual_network_answers_as_before(workbench, classifier, draw, reference):
    model = classifier()
    before = workbench.prepare(model)
    after = equalized(before)
    changed = [
        not np.array_equal(one, other)
        for one, other in zip(kernels(after), kernels(before), strict=True)
    ]
    # Inside the blocks only: behind the stem, the shortcut and each block is more than one layer.
    assert changed == [False, True, True, False, True, True, False]
    np.testing.assert_allclose(run(after, draw()), reference(model, draw()), atol=1e-5)


def test_chains_of_depthwise_layers_settle(workbench, settled, draw, reference):
    model = settled(hostile.small_mobilenet())
    after = equalized(workbench.prepare(model))
    found = kernels(after)
    assert len(found) == 8
    for first, second in pairwise(found):
        ours = np.abs(first).max(axis=(0, 1)).reshape(-1) if first.shape[-1] == 1 else given(first)
        np.testing.assert_allclose(ours, taken(second), rtol=0.01)
    np.testing.assert_allclose(run(after, draw()), reference(model, draw()), atol=1e-5)


def test_a_channel_scaled_and_undone_is_as_if_it_had_never_been(workbench, settled, draw):
    model = settled(hostile.small_mobilenet())
    plain = equalized(workbench.prepare(model))
    hostile.make_hostile(model)
    before = workbench.prepare(model)
    found = parameters(before)[f"net/hostile/{hostile.HOSTILE_LAYER}/depthwise"]
    ranges = np.abs(found).max(axis=(0, 1))
    assert ranges.max() > 100 * np.median(ranges)
    for one, other in zip(kernels(equalized(before)), kernels(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=1e-6)


def test_int8_gets_back_what_one_hostile_channel_costs(workbench, trained):
    model = hostile.hostile_network(trained.calibration)
    whole = np.asarray(model(trained.images / np.float32(127.5) - 1, training=False))
    top1 = 100 * np.mean(whole.argmax(axis=1) == trained.classes)
    assert top1 > 90
    before = workbench.prepare(model)
    for prepared, holds in ((before, False), (equalized(before), True)):
        files = workbench.export(prepared, INT8, trained.images[::6])
        for format, answers in workbench.answers(files, trained.images).items():
            loss = top1 - 100 * np.mean(answers.argmax(axis=1) == trained.classes)
            assert (loss <= MOST_LOST) if holds else (loss >= LEAST_LOST), (format, loss)


def test_the_graph_lies_beside_the_first_and_is_the_same_each_time(workbench, settled):
    before = workbench.prepare(settled(between(layers.ReLU())))
    untouched = before.graph.read_bytes()
    after = equalized(before)
    first = after.graph.read_bytes()
    assert after.graph == before.graph.with_name("graph-equalized.pb")
    assert after.contract == before.contract
    assert equalized(before).graph.read_bytes() == first != untouched
    assert before.graph.read_bytes() == untouched


def test_a_last_activation_of_its_own_form_keeps_the_output(workbench, classifier, draw, reference):
    def head(x):
        from keras import layers, ops

        powers = ops.exp(layers.Dense(4)(x)) + 1e-3
        return powers / ops.sum(powers, axis=-1, keepdims=True)

    model = classifier(head=head)
    prepared = workbench.prepare(model)
    workbench.require_agreement(equalized(prepared), draw(), reference(model, draw()))
