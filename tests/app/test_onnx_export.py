"""The commands on an ONNX file, from the source to the figures against it."""

import json

import numpy as np
import pytest
from PIL import Image

from edgeferry.app.cli import run

onnx = pytest.importorskip("onnx")
pytest.importorskip("tensorflow")


@pytest.fixture
def source(tmp_path):
    """A small classifier as other frameworks export it: channels first, a batch of one."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["d"], "conv2", strides=[2, 2]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "k", "b"], ["logits"], "scores"),
    ]
    constants = {
        "w": random.normal(0, 0.3, (8, 3, 3, 3)),
        "v": random.normal(0, 0.2, (12, 8, 3, 3)),
        "k": random.normal(0, 3, (12, 4)),
        "b": np.zeros(4),
    }
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", 1, [1, 3, 24, 24])],
        [helper.make_tensor_value_info("logits", 1, [1, 4])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(24):
        blocks = random.integers(0, 256, (3, 3, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(blocks).save(folder / f"{number:02}.png")
    return folder


def test_an_onnx_file_is_exported_judged_and_debugged(source, pictures, tmp_path, capfd):
    told = ["--preprocessing", "torch", "--head", "logits", "--resize", "squash"]
    told += ["--calibration", str(pictures), "--precisions", "fp32,int8"]
    assert run(["export", str(source), "-o", str(tmp_path / "out"), *told]) == 0
    report = tmp_path / "evaluate.json"
    command = ["evaluate", str(tmp_path / "out"), "--images", str(pictures)]
    assert run([*command, "--reference", str(source), "--json", str(report)]) == 0
    results = {each["artifact"]: each for each in json.loads(report.read_text())["results"]}
    for suffix in (".tflite", ".onnx", ".xml"):
        assert results[f"net.fp32{suffix}"]["agreement"] == 100
        assert results[f"net.fp32{suffix}"]["kl"] < 1e-6
        assert results[f"net.int8{suffix}"]["agreement"] > 90
    pair = [str(tmp_path / "out" / f"net.{each}.onnx") for each in ("int8", "fp32")]
    assert run(["debug", pair[0], "--reference", pair[1], "--images", str(pictures)]) == 0
    shown = capfd.readouterr().out
    assert all(name in shown for name in ("conv1", "conv2", "scores"))


def test_an_operator_that_is_not_known_is_refused_at_once(source, pictures, tmp_path, capfd):
    model = onnx.load(source)
    model.graph.node[1].op_type = "Shrink"
    onnx.save(model, source)
    told = ["--preprocessing", "torch", "--calibration", str(pictures)]
    assert run(["export", str(source), "-o", str(tmp_path / "out"), *told]) == 2
    assert "Shrink (node r)" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
