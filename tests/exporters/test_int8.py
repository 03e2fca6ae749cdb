"""int8 artifacts compute in integers from end to end, and answer as the float network does."""

from collections import Counter

import numpy as np
import pytest

from edgeferry.exporters.recipes import recipes_for
from edgeferry.runtimes.predictor import load

onnx = pytest.importorskip("onnx")
pytest.importorskip("tensorflow")

FORMATS = ("tflite", "onnx", "openvino")
CONVOLUTIONS = 7
"""Of the digits network: its stem, and three in each of two residual blocks."""


@pytest.fixture(params=FORMATS)
def artifact(exported, request):
    suffix = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}[request.param]
    return exported.folder / f"digits.int8{suffix}"


@pytest.fixture
def operations(artifact):
    with load(artifact, threads=1) as predictor:
        return predictor.describe().operations


@pytest.fixture
def answers(artifact, exported):
    with load(artifact, threads=1) as predictor:
        return predictor.predict_proba(exported.images)


def counted(operations, kind):
    """How often a kind runs in each precision, alone or fused into another."""
    found = Counter(op.precision for op in operations if op.kind == kind)
    return found + Counter(op.precision for op in operations for fused in op.fused if fused == kind)


def test_all_convolutions_and_additions_are_integer(operations):
    assert counted(operations, "Conv") == {"int8": CONVOLUTIONS}
    assert counted(operations, "Add") == {"int8": 2}


def test_nothing_is_converted_between_the_convolutions(operations):
    kinds = [op.kind for op in operations]
    places = [at for at, kind in enumerate(kinds) if kind == "Conv"]
    between = kinds[places[0] : places[-1]]
    assert not {"Quantize", "Dequantize", "Cast"} & set(between), between


def test_the_last_activation_is_float(operations):
    assert counted(operations, "Softmax") == {"fp32": 1}


def test_answers_agree_with_the_float_network(answers, exported):
    assert (answers.argmax(axis=1) == exported.reference.argmax(axis=1)).mean() >= 0.98
    right = (answers.argmax(axis=1) == exported.classes).mean()
    assert right >= (exported.reference.argmax(axis=1) == exported.classes).mean() - 0.01


def test_the_confidence_is_kept(answers, exported):
    reference = np.maximum(exported.reference.astype(np.float64), 1e-12)
    divergence = (reference * np.log(reference / np.maximum(answers, 1e-12))).sum(axis=1)
    assert divergence.mean() < 0.02
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_probabilities_have_no_integer_steps(answers):
    """Scores of 8 bits would have at most 511 different distances."""
    distances = np.log(answers[:, 1:] / answers[:, :1])
    assert len(np.unique(distances.round(4))) > 0.8 * distances.size


def test_weights_are_int8_per_channel_in_onnx(exported):
    model = onnx.load(exported.folder / "digits.int8.onnx")
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    kernels = [makers[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert len(kernels) == CONVOLUTIONS
    for kernel in kernels:
        weights, scales, zeros = (constants[name] for name in kernel.input)
        assert weights.dtype == np.int8
        assert scales.shape == (len(weights),)
        assert len(np.unique(scales)) == len(scales)
        assert not zeros.any()


def test_weights_are_int8_per_channel_in_tflite(exported):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(
        str(exported.folder / "digits.int8.tflite")
    )
    kernels = [
        tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["dtype"] is np.int8 and len(tensor["quantization_parameters"]["scales"]) > 1
    ]
    four_dimensional = [tensor for tensor in kernels if len(tensor["shape"]) == 4]
    assert len(four_dimensional) == CONVOLUTIONS
    for tensor in four_dimensional:
        assert len(tensor["quantization_parameters"]["scales"]) == tensor["shape"][0]
        assert not tensor["quantization_parameters"]["zero_points"].any()


def test_weights_are_int8_per_channel_in_openvino(exported):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(exported.folder / "digits.int8.xml")
    convolutions = [op for op in model.get_ops() if op.get_type_name() == "Convolution"]
    assert len(convolutions) == CONVOLUTIONS
    for convolution in convolutions:
        scaled = convolution.input_value(1).get_node()
        weights, scales = (scaled.input_value(index).get_node() for index in (0, 1))
        assert scales.output(0).shape[0] == convolution.output(0).shape[1]
        assert weights.input_value(0).get_node().data.dtype == np.int8


def test_targets_choose_the_integer_types_of_onnx(trained, workbench):
    prepared = workbench.prepare(trained.keras_path)
    recipes = recipes_for("onnx", ("int8",), ("x86", "arm"))
    files = [workbench.export(prepared, r, trained.images[:60], ["onnx"])["onnx"] for r in recipes]
    assert [file.name for file in files] == ["network.int8.onnx", "network.int8-arm.onnx"]
    expected = trained.reference[60:].argmax(axis=1)
    for file, activations in zip(files, ("UINT8", "INT8"), strict=True):
        model = onnx.load(file)
        constants = {each.name: each.data_type for each in model.graph.initializer}
        quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        zeros = {constants[node.input[2]] for node in quantizers}
        assert zeros == {getattr(onnx.TensorProto, activations)}
        with load(file, threads=1) as predictor:
            answers = predictor.predict_proba(trained.images[60:])
        assert (answers.argmax(axis=1) == expected).mean() >= 0.98
