"""Small things to point the command line at: a network of one matrix, pictures of one color."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import Contract, InputSpec, Precision, ResizeRule, SourceInfo
from edgeferry.integrity import seal_artifact, unsealed

LABELS = ("red", "green", "blue", "gray", "violet", "white")
SIZE = 8

Matrix = NDArray[np.float32]
WriteNetwork = Callable[[Path, Precision, Matrix], Path]


@pytest.fixture
def contract() -> Contract:
    """The contract of a network that sees 8×8 pictures."""
    return Contract(
        task="classification",
        input=InputSpec(SIZE, SIZE, resize=ResizeRule("squash")),
        classes=len(LABELS),
        labels=LABELS,
        head="softmax",
        precision="fp32",
        recipe="fp32",
        source=SourceInfo("colors", "0" * 64, "none"),
    )


@pytest.fixture
def write_network(contract: Contract) -> WriteNetwork:
    """Write an ONNX artifact: the softmax of a picture's mean color times a matrix."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def write(path: Path, precision: Precision, matrix: Matrix) -> Path:
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["pixels", "axes"], ["color"], keepdims=0),
                helper.make_node("MatMul", ["color", "matrix"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            ],
            "colors",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 6])],
            [
                numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
                numpy_helper.from_array(matrix, "matrix"),
            ],
        )
        opsets = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        own = replace(contract, precision=precision, recipe=precision, integrity=unsealed(files=1))
        helper.set_model_props(model, {METADATA_NAME: own.to_json()})
        onnx.save(model, path)
        assert seal_artifact(path)
        return path

    return write


@pytest.fixture
def matrix() -> Matrix:
    """What tells the colors apart, somewhat: float32 ``[3, classes]``."""
    draw = np.random.default_rng(0).normal(0, 0.02, (3, len(LABELS)))
    return np.asarray(draw, np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four pictures for each of five labels, in folders named by label."""
    random = np.random.default_rng(1)
    for label in LABELS[:5]:
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            pixels = pixels // 4 + random.integers(0, 192, (1, 1, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"
