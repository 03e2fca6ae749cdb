"""A network small enough to be computed by hand, in every format."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edgeferry.artifact import METADATA_NAME, RT_INFO_PATH
from edgeferry.contract import Contract, InputSpec, SourceInfo

HEIGHT, WIDTH, CLASSES = 6, 4, 5
WEIGHTS = np.random.default_rng(5).normal(size=(3, CLASSES)).astype(np.float32) / 20
LABELS = ("ant", "bee", "cat", "dog", "eel")


@dataclass(frozen=True)
class Tiny:
    """An artifact of the network that averages colors, multiplies, and ends in softmax."""

    path: Path
    contract: Contract
    weights: ClassVar = WEIGHTS

    @staticmethod
    def reference(images):
        """Its answer, by numpy."""
        logits = images.astype(np.float64).mean(axis=(1, 2)) @ WEIGHTS
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def tiny_contract(batch: int | None = 1) -> Contract:
    return Contract(
        task="classification",
        input=InputSpec(HEIGHT, WIDTH, batch=batch),
        classes=CLASSES,
        labels=LABELS,
        head="softmax",
        precision="fp32",
        recipe="fp32",
        source=SourceInfo("tiny", "0" * 64, "none"),
    )


def write_onnx(path: Path, contract: Contract) -> None:
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    shape = ["N" if size is None else size for size in contract.input.shape]
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=types.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", types.UINT8, shape)],
        [helper.make_tensor_value_info("probabilities", types.FLOAT, [shape[0], CLASSES])],
        [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_NAME: contract.to_json()})
    onnx.save(model, path)


def write_openvino(path: Path, contract: Contract) -> None:
    ov = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    shape = [-1 if size is None else size for size in contract.input.shape]
    image = ops.parameter(shape, np.uint8, name="image")
    mean = ops.reduce_mean(ops.convert(image, "f32"), np.array([1, 2]))
    result = ops.softmax(ops.matmul(mean, WEIGHTS, False, False), 1)
    image.output(0).set_names({"image"})
    result.output(0).set_names({"probabilities"})
    model = ov.Model([result], [image], "tiny")
    model.set_rt_info(contract.to_json(), list(RT_INFO_PATH))
    ov.save_model(model, path, compress_to_fp16=False)


def write_tflite(path: Path, contract: Contract) -> None:
    tf = pytest.importorskip("tensorflow")
    pytest.importorskip("ai_edge_litert")
    from edgeferry.exporters.tflite_metadata import with_contract

    @tf.function(input_signature=[tf.TensorSpec(contract.input.shape, tf.uint8, name="image")])
    def network(image):
        mean = tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2])
        return tf.nn.softmax(tf.matmul(mean, WEIGHTS))

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    path.write_bytes(with_contract(converter.convert(), contract))


WRITERS = {".tflite": write_tflite, ".onnx": write_onnx, ".xml": write_openvino}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Call with a suffix and a batch size; each file is written once."""
    folder, made = tmp_path_factory.mktemp("tiny"), {}

    def make(suffix: str, batch: int | None = 1) -> Tiny:
        if (suffix, batch) not in made:
            contract = tiny_contract(batch)
            path = folder / f"tiny.{batch or 'dynamic'}{suffix}"
            WRITERS[suffix](path, contract)
            made[suffix, batch] = Tiny(path, contract)
        return made[suffix, batch]

    return make


@pytest.fixture
def pictures():
    """Seven prepared pictures, uint8 ``[7, HEIGHT, WIDTH, 3]``, for the tiny network."""
    return np.random.default_rng(2).integers(0, 256, (7, HEIGHT, WIDTH, 3), np.uint8)
