"""ONNX operators as a source, each held to ONNX Runtime."""

import numpy as np
import pytest

from edgeferry.errors import SourceError
from edgeferry.trained_model import load_trained_model

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("tensorflow")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

PICTURES = np.random.default_rng(0).normal(0, 1, (2, 3, 13, 10)).astype(np.float32)


def weights(*shape):
    return np.random.default_rng(sum(shape)).normal(0, 0.5, shape).astype(np.float32)


def model_of(nodes, constants, opset=18, shape=("n", 3, 13, 10), outputs=("y",)):
    graph = helper.make_graph(
        [helper.make_node(*each[:3], **(each[3] if len(each) > 3 else {})) for each in nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def compare(path, model, pictures=PICTURES, atol=1e-5):
    """Assert that the source answers as ONNX Runtime does; give the answers."""
    onnx.save(model, path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": pictures})
    found = load_trained_model(path).predict(pictures.transpose(0, 2, 3, 1))
    for want, got in zip(expected, found.values(), strict=True):
        want = want.transpose(0, 2, 3, 1) if want.ndim == 4 else want
        assert want.size and np.ptp(want) > 0
        np.testing.assert_allclose(got, want, atol=atol, rtol=1e-5)
    return found


def conv(kernel, groups=1, **attributes):
    outputs = 6
    named = {"w": weights(outputs, 3 // groups, *kernel), "b": weights(outputs)}
    return [("Conv", ["x", "w", "b"], ["y"], {"group": groups, **attributes})], named


def one(kind, *constants, **attributes):
    names = [f"c{at}" for at in range(len(constants))]
    named = {name: value for name, value in zip(names, constants, strict=True) if value is not None}
    inputs = [name if name in named else "" for name in names]
    return [(kind, ["x", *inputs], ["y"], attributes)], named


def behind_relu(nodes, constants):
    ((kind, inputs, outputs, told),) = nodes
    return [("Relu", ["x"], ["r"]), (kind, ["r", *inputs[1:]], outputs, told)], constants


POOL = {"kernel_shape": [3, 3], "strides": [2, 2]}
CASES = {
    "conv": conv((3, 3)),
    "conv, padded": conv((3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv, padded on one side": conv((3, 2), pads=[2, 0, 0, 1]),
    "conv, same upper": conv((3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv, same lower": conv((2, 2), auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv, dilated": conv((3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    "conv, depthwise": conv((3, 3), groups=3, pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv transposed": one("ConvTranspose", weights(3, 5, 2, 2), weights(5), strides=[2, 2]),
    "conv transposed, cut": one(
        "ConvTranspose",
        weights(3, 5, 3, 3),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    ),
    "max pool": one("MaxPool", **POOL),
    "max pool, padded": one("MaxPool", pads=[1, 1, 1, 1], **POOL),
    "max pool, padded behind relu": behind_relu(*one("MaxPool", pads=[1, 1, 1, 1], **POOL)),
    "max pool, wide padding": one("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    "max pool, rounded up": one("MaxPool", ceil_mode=1, **POOL),
    "average pool, padded": one("AveragePool", pads=[1, 1, 1, 1], **POOL),
    "average pool, padding counted": one(
        "AveragePool", pads=[1, 1, 1, 1], count_include_pad=1, **POOL
    ),
    "average pool, rounded up": one("AveragePool", ceil_mode=1, **POOL),
    "average pool, same": one("AveragePool", auto_pad="SAME_UPPER", **POOL),
    "global average": one("GlobalAveragePool"),
    "global max": one("GlobalMaxPool"),
    "batch norm": one(
        "BatchNormalization", weights(3), weights(3), weights(3), weights(3) ** 2 + 0.5
    ),
    "instance norm": one("InstanceNormalization", weights(3), weights(3)),
    "layer norm": one("LayerNormalization", weights(10), weights(10), axis=-1),
    "local response": one("LRN", size=3, alpha=0.3, beta=0.6, bias=1.5),
    "scalar": one("Add", np.float32(2)),
    "by channel": one("Mul", weights(3, 1, 1)),
    "by row": one("Sub", weights(13, 1)),
    "max of two": one("Max", np.float32(0.1)),
    "relu6": one("Clip", np.float32(0), np.float32(6)),
    "clip from below": one("Clip", np.float32(0)),
    "clip": one("Clip", np.float32(-0.3), np.float32(0.4)),
    "leaky relu": one("LeakyRelu", alpha=0.2),
    "prelu": one("PRelu", weights(3, 1, 1)),
    "elu": one("Elu"),
    "selu": one("Selu"),
    "sigmoid": one("Sigmoid"),
    "hard sigmoid": one("HardSigmoid", alpha=1 / 6),
    "hard sigmoid, old": one("HardSigmoid"),
    "hard swish": one("HardSwish"),
    "softplus": one("Softplus"),
    "tanh": one("Tanh"),
    "erf": one("Erf"),
    "exp": one("Exp"),
    "softmax": one("Softmax", axis=1),
    "flatten": one("Flatten"),
    "reshape": one("Reshape", np.int64([0, -1, 5])),
    "reshape in pictures": one("Reshape", np.int64([0, 3, 26, 5])),
    "transpose": one("Transpose", perm=[0, 2, 1, 3]),
    "split": (
        [
            ("Split", ["x", "s"], ["a", "b"], {"axis": 1}),
            ("Concat", ["b", "a"], ["y"], {"axis": 1}),
        ],
        {"s": np.int64([1, 2])},
    ),
    "slice": one("Slice", np.int64([1, 0]), np.int64([2**62, -1]), np.int64([1, 3])),
    "slice, stepped": one("Slice", np.int64([1]), np.int64([9]), np.int64([2]), np.int64([2])),
    "pad": one("Pad", np.int64([0, 0, 1, 2, 0, 0, 3, 0]), np.float32(0.5)),
    "pad by reflection": one("Pad", np.int64([0, 0, 1, 2, 0, 0, 3, 0]), mode="reflect"),
    "mean of pixels": one("ReduceMean", np.int64([2, 3]), keepdims=0),
    "mean of channels": one("ReduceMean", np.int64([1]), keepdims=1),
    "sum of rows": one("ReduceSum", np.int64([2]), keepdims=0),
    "tile": one("Tile", np.int64([1, 2, 3, 1])),
    "tile behind a convolution": (
        [
            ("Conv", ["x", "w"], ["c"], {}),
            ("Tile", ["c", "n"], ["y"], {}),
        ],
        {"w": weights(5, 3, 3, 3), "n": np.int64([1, 2, 1, 2])},
    ),
    "gather": one("Gather", np.int64([2, 0]), axis=1),
    "gather from the end": one("Gather", np.int64(-1), axis=1),
    "nearest": one("Resize", None, np.float32([1, 1, 2, 2]), mode="nearest"),
    "linear": one("Resize", None, np.float32([1, 1, 2, 2]), mode="linear"),
    "linear by corners": one(
        "Resize",
        None,
        None,
        np.int64([2, 3, 20, 30]),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    "squeezed": (
        [("GlobalAveragePool", ["x"], ["g"]), ("Squeeze", ["g", "a"], ["y"])],
        {"a": np.int64([2, 3])},
    ),
    "dense": (
        [
            ("GlobalAveragePool", ["x"], ["g"]),
            ("Flatten", ["g"], ["f"]),
            ("Gemm", ["f", "w", "b"], ["y"], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ],
        {"w": weights(4, 3), "b": weights(4)},
    ),
    "product": (
        [("Flatten", ["x"], ["f"]), ("MatMul", ["f", "w"], ["y"])],
        {"w": weights(390, 4)},
    ),
    "scaled by itself": (
        [
            ("GlobalAveragePool", ["x"], ["g"]),
            ("Sigmoid", ["g"], ["s"]),
            ("Mul", ["x", "s"], ["y"]),
        ],
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_as_onnx_runtime_does(tmp_path, case):
    nodes, constants = CASES[case]
    compare(tmp_path / "net.onnx", model_of(nodes, constants))


def test_softmax_of_old_is_over_all_that_follows(tmp_path):
    nodes = [("Flatten", ["x"], ["f"]), ("Softmax", ["f"], ["y"])]
    compare(tmp_path / "net.onnx", model_of(nodes, {}, opset=11))


def test_channels_last_pictures(tmp_path):
    """As tf2onnx writes them: a transposition in front, and none is left of it."""
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "w"], ["c"]),
        ("GlobalAveragePool", ["c"], ["g"]),
        ("Flatten", ["g"], ["y"]),
    ]
    model = model_of(nodes, {"w": weights(6, 3, 3, 3)}, shape=("n", 13, 10, 3))
    onnx.save(model, tmp_path / "net.onnx")
    pictures = PICTURES.transpose(0, 2, 3, 1)
    session = ort.InferenceSession(str(tmp_path / "net.onnx"))
    source = load_trained_model(tmp_path / "net.onnx")
    (found,) = source.predict(pictures).values()
    np.testing.assert_allclose(found, session.run(None, {"x": pictures})[0], atol=1e-5)
    import tensorflow as tf

    graph = tf.function(source).get_concrete_function(tf.TensorSpec((1, 13, 10, 3))).graph
    assert "Transpose" not in {op.type for op in graph.get_operations()}


def test_shapes_that_are_computed_vanish(tmp_path):
    nodes = [
        ("Shape", ["x"], ["s"]),
        ("Gather", ["s", "zero"], ["n"]),
        ("Unsqueeze", ["n", "axes"], ["m"]),
        ("Concat", ["m", "rest"], ["shape"], {"axis": 0}),
        ("Reshape", ["x", "shape"], ["y"]),
    ]
    constants = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([-1])}
    compare(tmp_path / "net.onnx", model_of(nodes, constants, shape=(2, 3, 13, 10)))


def test_several_outputs_go_by_their_names(tmp_path):
    nodes = [("Relu", ["x"], ["feature/map"]), ("Flatten", ["x"], ["flat"])]
    model = model_of(nodes, {}, outputs=("feature/map", "flat"))
    assert tuple(compare(tmp_path / "net.onnx", model)) == ("feature/map", "flat")


def test_the_digest_is_of_the_weights_and_operators(tmp_path):
    nodes, constants = CASES["conv"]
    digests = []
    for name, kernel in (("a", 1.0), ("b", 1.0), ("c", 1.001)):
        model = model_of(nodes, {**constants, "w": constants["w"] * np.float32(kernel)})
        model.doc_string = model.producer_name = name
        onnx.save(model, tmp_path / f"{name}.onnx")
        digests.append(load_trained_model(tmp_path / f"{name}.onnx").digest())
    assert digests[0] == digests[1] != digests[2]


def test_weights_may_lie_beside_but_not_elsewhere(tmp_path):
    model = model_of(*CASES["conv"])
    folder = tmp_path / "inside"
    folder.mkdir()
    onnx.save(
        model,
        folder / "net.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert load_trained_model(folder / "net.onnx").predict(PICTURES.transpose(0, 2, 3, 1))
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    outside = onnx.load(folder / "net.onnx", load_external_data=False)
    for value in outside.graph.initializer:
        for entry in value.external_data:
            entry.value = "../weights.bin" if entry.key == "location" else entry.value
    (folder / "net.onnx").write_bytes(outside.SerializeToString())
    with pytest.raises(SourceError, match=r"net\.onnx is damaged"):
        load_trained_model(folder / "net.onnx")


REFUSED = {
    "an unknown operator": (
        model_of([("GridSample", ["x", "g"], ["y"])], {"g": weights(1, 4, 4, 2)}),
        r"GridSample \(node y\)",
    ),
    "another domain": (
        model_of([("Conv", ["x", "w"], ["y"], {"domain": "com.vendor"})], {"w": weights(1)}),
        r"com\.vendor\.Conv",
    ),
    "no picture": (model_of([("Relu", ["x"], ["y"])], {}, shape=("n", 7)), "not float32 pictures"),
    "seven colors": (
        model_of([("Relu", ["x"], ["y"])], {}, shape=(1, 7, 8, 9)),
        "neither axis 1 nor axis 3",
    ),
    "weights from the picture": (
        model_of([("Gemm", ["f", "f"], ["y"]), ("Flatten", ["x"], ["f"])][::-1], {}),
        "depend",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_over_is_named(tmp_path, case):
    model, problem = REFUSED[case]
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(SourceError, match=problem):
        load_trained_model(tmp_path / "net.onnx").predict(PICTURES.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08"])
def test_files_that_are_no_models(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(SourceError, match="damaged, or no ONNX model"):
        load_trained_model(tmp_path / "net.onnx")
