"""Batch norm goes into the weights beside it: none is left to compute, and nothing changes."""

from collections import Counter

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers

ARITHMETIC = {"Add", "AddV2", "Mul", "RealDiv", "Rsqrt", "Sub", "FusedBatchNormV3"}


def graph_of(prepared):
    return tf.compat.v1.GraphDef.FromString(prepared.graph.read_bytes())


def operations(prepared):
    """Operations of the network itself, counted."""
    nodes = [node for node in graph_of(prepared).node if node.name.startswith("net/")]
    return Counter(node.op for node in nodes if node.op != "Const")


def arithmetic(prepared):
    return {op: count for op, count in operations(prepared).items() if op in ARITHMETIC}


def run(prepared, images):
    """The prepared graph's own answers, by TensorFlow."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_of(prepared), name="")
        answers = [session.run("probabilities:0", {"image:0": image[None]}) for image in images]
    return np.concatenate(answers)


@pytest.fixture
def folded(workbench, settle, draw, reference):
    """Prepare a trunk with a plain head; see that nothing changed; give what was prepared."""

    def fold(trunk):
        keras.utils.set_random_seed(4)
        image = keras.Input((32, 32, 3))
        x = trunk(image)
        x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
        model = keras.Model(image, layers.Dense(5, activation="softmax")(x), name="network")
        prepared = workbench.prepare(settle(model, draw(count=32)))
        expected = reference(model, draw())
        assert np.ptp(expected, axis=0).max() > 0.05
        np.testing.assert_allclose(run(prepared, draw()), expected, atol=1e-5)
        return prepared

    return fold


WEIGHTED = {
    "convolution": lambda **told: layers.Conv2D(8, 3, strides=2, **told),
    "depthwise": lambda **told: layers.DepthwiseConv2D(3, depth_multiplier=2, **told),
    "grouped": lambda **told: layers.Conv2D(9, 3, groups=3, **told),
    "dense": lambda **told: layers.Dense(8, **told),
}


@pytest.mark.parametrize("kind", WEIGHTED)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("told", [{}, {"scale": False}, {"center": False}], ids=str)
def test_behind_weights(folded, kind, bias, told):
    def trunk(x):
        x = layers.GlobalAveragePooling2D()(x) if kind == "dense" else x
        x = WEIGHTED[kind](use_bias=bias)(x)
        return layers.ReLU()(layers.BatchNormalization(**told)(x))

    prepared = folded(trunk)
    assert arithmetic(prepared) == {}
    assert operations(prepared)["BiasAdd"] == 2  # one for each: the layer, and the head


def test_the_kernel_is_what_the_formula_says(folded):
    convolution = layers.Conv2D(6, 3, name="first")
    norm = layers.BatchNormalization(epsilon=0.01)
    prepared = folded(lambda x: layers.ReLU()(norm(convolution(layers.ReLU()(x)))))
    (node,) = [node for node in graph_of(prepared).node if node.op == "Conv2D"]
    constants = {node.name: node for node in graph_of(prepared).node if node.op == "Const"}
    kernel = tf.make_ndarray(constants[node.input[1]].attr["value"].tensor)
    scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + 0.01)
    np.testing.assert_allclose(kernel, np.asarray(convolution.kernel) * scale, rtol=1e-5)


def test_before_a_matrix_product(folded):
    def trunk(x):
        x = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling2D()(x))
        return layers.Dropout(0.3)(layers.BatchNormalization()(x))

    prepared = folded(trunk)
    assert arithmetic(prepared) == {}
    assert operations(prepared)["BiasAdd"] == 2


def test_between_two_matrix_products(folded):
    def trunk(x):
        x = layers.Dense(16, use_bias=False)(layers.GlobalAveragePooling2D()(x))
        return layers.BatchNormalization()(x)

    assert arithmetic(folded(trunk)) == {}


def test_what_two_readers_share_stays(folded):
    def trunk(x):
        x = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(x))
        x = layers.BatchNormalization()(x)
        return layers.Concatenate()([layers.Dense(4)(x), layers.ReLU()(x)])

    assert arithmetic(folded(trunk)) == {"Mul": 1, "AddV2": 1}


def test_what_is_added_to_something_else_stays(folded):
    def trunk(x):
        x = layers.Conv2D(8, 3)(x)
        return layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(x)]))

    assert arithmetic(folded(trunk)) == {"Mul": 1, "AddV2": 2}


def test_before_a_padded_convolution_it_stays(folded):
    def trunk(x):
        x = layers.BatchNormalization()(layers.AveragePooling2D(2)(layers.Conv2D(8, 3)(x)))
        return layers.ReLU()(layers.Conv2D(8, 3, padding="same")(x))

    assert arithmetic(folded(trunk)) == {"Mul": 1, "AddV2": 1}


def test_a_layer_used_twice_keeps_two_kernels(folded):
    shared = layers.Conv2D(3, 3, padding="same")

    def trunk(x):
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(shared(x)))
        return x

    prepared = folded(trunk)
    assert operations(prepared)["Conv2D"] == 2
    assert arithmetic(prepared) == {}


def test_the_fused_operation_of_older_networks(workbench, draw, tmp_path):
    random = np.random.default_rng(0)
    module = tf.Module()
    module.kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 3, 8)).astype(np.float32))
    module.dense = tf.Variable(random.normal(0, 2, (8, 5)).astype(np.float32))
    module.norm = [tf.Variable(random.uniform(0.5, 1.5, 8).astype(np.float32)) for _ in range(4)]

    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)])
    def serve(picture):
        x = tf.nn.conv2d(picture, module.kernel, 2, "SAME")
        x, *_ = tf.compat.v1.nn.fused_batch_norm(x, *module.norm, is_training=False)
        return {"answer": tf.nn.softmax(tf.reduce_mean(tf.nn.relu(x), [1, 2]) @ module.dense)}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "older"), signatures=serve)
    assert "FusedBatchNormV3" in str(serve.get_concrete_function().graph.as_graph_def())
    prepared = workbench.prepare(tmp_path / "older", "zero_one")
    assert arithmetic(prepared) == {}
    expected = serve(draw().astype(np.float32) / 255)["answer"]
    np.testing.assert_allclose(run(prepared, draw()), expected, atol=1e-5)


def test_resnet50_fine_tuned(workbench, settle, draw, reference):
    keras.utils.set_random_seed(5)
    trunk = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    image = keras.Input((32, 32, 3))
    head = layers.Dense(37, activation="softmax")
    model = settle(keras.Model(image, head(trunk(image)), name="pets"), draw(count=32), "caffe")
    head.kernel.assign(head.kernel / 10)  # float32 is only so exact after 53 convolutions
    prepared = workbench.prepare(model, "caffe")
    found = operations(prepared)
    assert (found["Conv2D"], found["BiasAdd"]) == (53, 54)
    assert arithmetic(prepared) == {"AddV2": 16}
    expected = reference(model, draw(), "caffe")
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(run(prepared, draw()), expected, atol=1e-4)
