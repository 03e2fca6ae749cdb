"""fp16 artifacts are half as large and answer almost as float32 does."""

import numpy as np
import pytest

from edgeferry.artifact import artifact_files
from edgeferry.exporters.recipes import FP16, FP32
from edgeferry.runtimes.predictor import load

pytest.importorskip("tensorflow")

SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


@pytest.fixture(params=SUFFIXES)
def artifact(exported, request):
    return exported.folder / f"digits.fp16{SUFFIXES[request.param]}"


@pytest.fixture(params=SUFFIXES, scope="module")
def wide(request, tmp_path_factory):
    """fp32 and fp16 files of a network whose weights outweigh its graph, and the network."""
    keras = pytest.importorskip("keras")
    from edgeferry.exporters.preparation import PreparationOptions, prepare_source
    from edgeferry.exporters.registry import EXPORTERS
    from edgeferry.trained_model import load_trained_model

    keras.utils.set_random_seed(0)
    x = image = keras.Input((16, 16, 3))
    for _ in range(3):
        x = keras.layers.Conv2D(192, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Dense(300, name="scores")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax()(x), name="wide")
    scores = model.get_layer("scores")
    scores.kernel.assign(scores.kernel * 200)  # probabilities down to 1e-30
    folder = tmp_path_factory.mktemp("wide")
    model.save(folder / "wide.keras")
    trained = load_trained_model(str(folder / "wide.keras"))
    prepared = prepare_source(trained, PreparationOptions("tf"), folder)
    exporter, files = EXPORTERS.load(request.param)(prepared), {}
    for recipe in (FP32, FP16):
        files[recipe.name] = folder / f"wide.{recipe.name}{exporter.suffixes[0]}"
        exporter.export(exporter.prepare(), recipe, None, files[recipe.name])
    return files, model


def size(path):
    return sum(file.stat().st_size for file in artifact_files(path))


def test_it_is_half_as_large(wide):
    files, _ = wide
    assert 0.48 < size(files["fp16"]) / size(files["fp32"]) < 0.56


def test_small_probabilities_are_kept(wide, reference):
    files, model = wide
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    expected = reference(model, images)
    with load(files["fp16"], threads=1) as predictor:
        answers = predictor.predict_proba(images)
    small = (expected < 1e-8) & (expected > 1e-30)  # float16 itself ends at 6e-8
    assert small.any()
    ratio = answers[small] / expected[small]
    assert ratio.min() > 0.5
    assert ratio.max() < 2


def test_answers_are_those_of_float32(artifact, exported):
    with load(artifact, threads=1) as predictor:
        answers = predictor.predict_proba(exported.images)
    first, second = np.sort(exported.reference, axis=1)[:, :-3:-1].T
    clear = first - second > 0.01
    same = answers.argmax(axis=1) == exported.reference.argmax(axis=1)
    assert same[clear].all()
    assert clear.mean() > 0.95
    np.testing.assert_allclose(answers, exported.reference, rtol=0, atol=5e-3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_onnx_computes_in_float16_but_for_both_ends(exported):
    onnx = pytest.importorskip("onnx")
    model = onnx.shape_inference.infer_shapes(onnx.load(exported.folder / "digits.fp16.onnx"))
    types = {each.name: each.type.tensor_type.elem_type for each in model.graph.value_info}
    types |= {each.name: each.type.tensor_type.elem_type for each in model.graph.output}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Add", "Gemm", "MatMul", "Relu"):
            assert types[node.output[0]] == onnx.TensorProto.FLOAT16, node.name
        if node.op_type in ("Sub", "Softmax"):
            assert types[node.output[0]] == onnx.TensorProto.FLOAT, node.name
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 3
