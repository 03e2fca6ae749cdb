"""Kernels that are kept out of tf2onnx's way come back as if they had gone through it."""

import re
from collections import Counter

import numpy as np
import pytest

from edgeferry.exporters import onnx_conversion
from edgeferry.exporters.recipes import FP32, INT8_U8S8

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
layers = keras.layers


def head(x):
    hidden = layers.Dense(24, activation="relu", name="fc1")(layers.Flatten()(x))
    plain = layers.Dense(24, use_bias=False, name="fc2")(hidden)
    return layers.Dense(5, activation="softmax")(layers.ReLU()(plain))


def described(path):
    """Operations and names, without tf2onnx's counter, which goes on from model to model."""
    nodes = onnx.load(path).graph.node
    names = sorted(re.sub(r"__\d+", "", node.name) for node in nodes)
    return Counter(node.op_type for node in nodes), names


@pytest.mark.parametrize("recipe", [FP32, INT8_U8S8], ids=["fp32", "int8"])
def test_kernels_of_large_products(
    workbench, classifier, settle, draw, reference, recipe, monkeypatch
):
    model = settle(classifier([layers.Conv2D(6, 3, strides=2)], head=head), draw(count=32))
    expected = reference(model, draw())
    prepared = workbench.prepare(model)
    through, aside = (None, None) if recipe is FP32 else (draw(count=32), draw(count=32))
    usual = workbench.export(prepared, recipe, through, ("onnx",))
    monkeypatch.setattr(onnx_conversion, "_LARGE", 1)
    large = workbench.export(prepared, recipe, aside, ("onnx",))
    assert described(usual["onnx"]) == described(large["onnx"])
    for files in (usual, large):
        (answers,) = workbench.answers(files, draw()).values()
        close = 1e-4 if recipe is FP32 else 0.1
        np.testing.assert_allclose(answers, expected, atol=close)
