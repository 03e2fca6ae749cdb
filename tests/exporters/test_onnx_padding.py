"""Padding goes into the max pooling behind it only where that changes no answer."""

import numpy as np
import pytest

from edgeferry.exporters.onnx_padding import fold_padding

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
SPATIAL = [0, 0, 1, 2, 0, 0, 2, 1]


def network(first="Relu", amounts=SPATIAL, fill=None, mode=None, own=None, auto=None, more=()):
    """An activation, a padding, a max pooling."""
    constants = {"amounts": np.array(amounts, np.int64)}
    padded = ["y", "amounts"]
    if fill is not None:
        constants["fill"] = np.array(fill, np.float32)
        padded.append("fill")
    activation = ["x"]
    if isinstance(first, tuple):
        first, low = first
        constants |= {"low": np.array(low, np.float32), "high": np.array(6, np.float32)}
        activation += ["low", "high"]
    options = {"pads": own, "auto_pad": auto}
    options = {name: value for name, value in options.items() if value is not None}
    nodes = [
        helper.make_node(first, activation, ["y"]),
        helper.make_node("Pad", padded, ["padded"], **({"mode": mode} if mode else {})),
        helper.make_node(
            "MaxPool", ["padded"], ["z"], kernel_shape=[3, 3], strides=[2, 2], **options
        ),
        *more,
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("x", floats, [1, 2, 9, 9])],
        [
            helper.make_tensor_value_info(name, floats, [None] * 4)
            for name in ("z", *("w",)[: len(more)])
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model):
    x = np.random.default_rng(0).normal(-1, 2, (1, 2, 9, 9)).astype(np.float32)
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(["z"], {"x": x})[0]


def is_folded(model):
    """Fold; the answers must not change. Whether the padding is gone."""
    before = answer(model)
    fold_padding(model)
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(answer(model), before)
    return all(node.op_type != "Pad" for node in model.graph.node)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fill": 0.0},
        {"mode": "constant"},
        {"own": [1, 0, 0, 1]},
        {"auto": "NOTSET"},
        {"auto": "VALID"},
        {"first": ("Clip", 0.0)},
        {"first": ("Clip", 0.5)},
    ],
    ids=str,
)
def test_zeros_behind_what_is_never_negative_are_folded(options):
    assert is_folded(network(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"first": "Identity"},
        {"first": ("Clip", -1.0)},
        {"fill": 3.0},
        {"fill": -3.0},
        {"mode": "reflect"},
        {"mode": "edge"},
        {"auto": "SAME_UPPER"},
        {"amounts": [0, 0, 3, 3, 0, 0, 3, 3]},
        {"own": [1, 1, 1, 1]},
        {"amounts": [0, 1, 0, 0, 0, 1, 0, 0]},
        {"more": (helper.make_node("Neg", ["padded"], ["w"]),)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_anything_else_stays(options):
    assert not is_folded(network(**options))
