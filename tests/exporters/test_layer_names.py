"""Layers keep the names that they have in Keras, in every format."""

from dataclasses import replace

import numpy as np
import pytest

from edgeferry.errors import UsageError
from edgeferry.exporters.network import Network, Node
from edgeferry.exporters.quantized_reader import open_float, open_quantized
from edgeferry.exporters.recipes import INT8

keras = pytest.importorskip("keras")
layers = keras.layers

FORMATS = ("tflite", "onnx", "openvino")


@pytest.fixture
def names(workbench):
    """Names of the weighted layers of a model, by format."""

    def of(model):
        files = workbench.export(workbench.prepare(model))
        return {f: [each.name for each in network(files, f).layers()] for f in FORMATS}

    return of


def network(files, format):
    return open_float(files[format], format).network


def weighted(model):
    kinds = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
    return {each.name for each in model._flatten_layers() if isinstance(each, kinds)}


def test_layers_of_a_nested_network_are_called_as_in_keras(names, classifier):
    model = classifier()
    found = names(model)
    assert len(weighted(model)) == 7
    for format in FORMATS:
        assert len(found[format]) == 7, format
        assert set(found[format]) == weighted(model), format


def test_layers_are_found_whatever_number_their_names_end_with(names, settle, draw):
    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(layers.Conv2D(4, 3, strides=4, name="conv2d_1")(image))
    x = layers.ReLU()(layers.Conv2D(4, 3, name="conv2d")(x))
    x = layers.Conv2D(4, 3, name="conv2d_1_1")(x)
    x = layers.Dense(5, activation="softmax", name="dense_7")(layers.Flatten()(x))
    model = settle(keras.Model(image, x), draw(count=8))
    order = ["conv2d_1", "conv2d", "conv2d_1_1", "dense_7"]
    assert names(model) == dict.fromkeys(FORMATS, order)


def test_equal_kernels_and_layers_called_twice_stay_apart(names):
    same = {"kernel_initializer": "ones", "padding": "same"}
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=4, name="stem")(image)
    x = layers.ReLU()(layers.Conv2D(4, 3, name="one", **same)(x))
    x = layers.ReLU()(layers.Conv2D(4, 3, name="other", **same)(x))
    shared = layers.Conv2D(4, 1, name="shared")
    x = layers.ReLU()(shared(layers.ReLU()(shared(x))))
    x = layers.Dense(5, activation="softmax", name="scores")(layers.Flatten()(x))
    for format, found in names(keras.Model(image, x)).items():
        assert found[:4] == ["stem", "one", "other", "shared"], format
        assert len(set(found)) == 6 and found[-1] == "scores", format


def test_layers_of_several_operations_have_their_own_name(names):
    image = keras.Input((32, 32, 3))
    x = layers.SeparableConv2D(4, 3, strides=4, name="separable")(image)
    x = layers.ReLU()(layers.Dense(6, name="mixed")(x))
    x = layers.Dense(5, activation="softmax", name="scores")(layers.Flatten()(x))
    expected = ["separable", "separable (2)", "mixed", "scores"]
    assert names(keras.Model(image, x)) == dict.fromkeys(FORMATS, expected)


def test_residual_blocks_are_numbered(workbench, classifier):
    model = classifier()
    convolutions = sorted(weighted(model), key=lambda name: int(name.rpartition("_")[2] or 0))
    convolutions = [name for name in convolutions if name.startswith("conv")]
    expected = dict(zip(convolutions, (None, 1, 1, 2, 2, 2), strict=True))
    files = workbench.export(workbench.prepare(model))
    for format in FORMATS:
        blocks = {each.name: each.block for each in network(files, format).layers()}
        assert {name: blocks[name] for name in expected} == expected, format
        assert sum(block is None for block in blocks.values()) == 2, format


def test_what_is_left_in_float_is_not_quantized_and_all_else_is(workbench, classifier, draw):
    prepared = workbench.prepare(classifier())
    float_files = workbench.export(prepared)
    for format in FORMATS:
        twin = network(float_files, format)
        own = twin.layers()
        block_end = next(each.name for each in own if each.block == 1)
        recipe = replace(INT8, float_layers=(block_end,))
        files = workbench.export(prepared, recipe, draw(), formats=(format,))
        quantized = open_quantized(files[format], format, twin).limits
        as_float = {each.name for each in own[:-1] if each.result not in quantized}
        assert block_end in as_float, format
        assert len(as_float) < len(own) - 2, format


def chain(*kinds):
    """Nodes ``a``, ``b``... each of which reads the one before."""
    letters = "abcdefgh"[: len(kinds)]
    sources = ("image", *letters)
    return [
        Node(name, kind, (source,), name, f"net/{name}/op" if kind in ("Conv", "MatMul") else "")
        for name, kind, source in zip(letters, kinds, sources, strict=False)
    ]


def test_a_layer_left_in_float_takes_its_readers_along_and_no_more():
    found = Network(chain("Conv", "Relu", "Pool", "Conv", "Relu", "MatMul"))
    assert found.float_group(["a"]) == {"a", "b", "c", "d"}
    assert found.float_group(["d"]) == {"d", "e", "f"}
    assert found.float_group([]) == set()


def test_an_addition_that_reads_a_float_layer_is_float():
    nodes = [*chain("Conv", "Relu", "Conv"), Node("sum", "Add", ("b", "c"), "sum")]
    nodes += [Node("end", "Conv", ("sum",), "end", "net/end/op")]
    assert Network(nodes).float_group(["c"]) == {"c", "sum"}


def test_a_layer_that_is_not_there_is_named_with_its_neighbors():
    nodes = [Node(name, "Conv", ("image",), name, f"net/{name}/op") for name in ("conv1", "head")]
    with pytest.raises(UsageError, match=r"no layer 'konv1'[\s\S]*conv1"):
        Network(nodes).float_group(["konv1"])


def test_names_do_not_depend_on_the_batch(workbench, classifier):
    model = classifier()
    one = workbench.export(workbench.prepare(model))
    two = workbench.export(workbench.prepare(model, batch=2))
    for format in FORMATS:
        single, double = (network(files, format).layers() for files in (one, two))
        assert [each.name for each in single] == [each.name for each in double]


def test_activations_are_read_under_the_names_of_their_layers(workbench, classifier, draw):
    """The scores' tensor, found through the layer's name, gives what Keras gives."""
    model = classifier(head=lambda x: layers.Dense(5, name="scores")(x))
    files = workbench.export(workbench.prepare(model, head="softmax"))
    images = draw(count=1)
    expected = np.asarray(model(images / np.float32(127.5) - 1, training=False))
    for format in FORMATS:
        opened = open_float(files[format], format)
        (layer,) = (each for each in opened.network.layers() if each.name == "scores")
        np.testing.assert_allclose(
            opened.reader.read(images)[layer.result], expected, atol=1e-4, err_msg=format
        )


def test_separable_layers_are_called_as_in_keras(names):
    image = keras.Input((32, 32, 3))
    x = layers.SeparableConv2D(4, 3, name="separable_conv2d")(image)
    x = layers.SeparableConv2D(4, 3, name="mine")(x)
    x = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    found = names(keras.Model(image, x))
    for format in FORMATS:
        kinds = {name.removesuffix(" (2)") for name in found[format]}
        assert len(found[format]) == 5, format
        assert {"separable_conv2d", "mine"} < kinds, format
