"""The contract travels inside each file, and the engines' own tools see the promised tensors."""

import shutil

import numpy as np
import pytest

import edgeferry
from edgeferry.artifact import artifact_files
from edgeferry.contract import CalibrationInfo, QuantizationInfo, ResizeRule

pytest.importorskip("tensorflow")

SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
RECIPES = {
    ("fp32", "tflite"): "fp32",
    ("int8", "tflite"): "int8-static",
    ("int8", "onnx"): "int8-static-u8s8",
    ("int8", "openvino"): "int8-static",
}
TOOLS = {
    ("fp32", "onnx"): {"tf2onnx", "onnx"},
    ("int8", "tflite"): {"litert-quantizer"},
    ("int8", "onnx"): {"tf2onnx", "onnx", "onnxruntime"},
    ("int8", "openvino"): {"openvino", "nncf"},
}


@pytest.fixture(params=["fp32", "fp16", "int8"])
def precision(request):
    return request.param


@pytest.fixture
def moved(exported, precision, tmp_path):
    """Call with a format for its artifact, alone in another folder, under another name."""

    def copy(format):
        path = exported.folder / f"digits.{precision}{SUFFIXES[format]}"
        for file in artifact_files(path):
            shutil.copy(file, tmp_path / f"renamed{file.suffix}")
        return tmp_path / f"renamed{path.suffix}"

    return copy


@pytest.mark.parametrize("format", SUFFIXES)
def test_everything_needed_is_inside(moved, exported, precision, format):
    contract = edgeferry.read_contract(moved(format))
    assert contract.input.shape == (1, 32, 32, 3)
    assert contract.input.resize == ResizeRule("squash")
    assert (contract.classes, contract.labels, contract.head) == (10, exported.labels, "softmax")
    assert contract.precision == precision
    assert contract.recipe == RECIPES.get((precision, format), precision)
    assert (contract.source.name, contract.source.preprocessing) == ("digits", "tf")
    assert len(contract.source.sha256) == 64
    always = {"edgeferry", "tensorflow", "keras"}
    assert set(contract.versions) >= always | TOOLS.get((precision, format), set())
    if precision == "int8":
        assert isinstance(contract.calibration, CalibrationInfo)
        assert (contract.calibration.method, contract.calibration.images) == ("percentile", 64)
        assert contract.quantization == QuantizationInfo(("bias-correction",))
    else:
        assert contract.calibration is contract.quantization is None


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_moved_artifact_predicts_with_its_labels(moved, exported, format):
    with edgeferry.load(moved(format), threads=1) as predictor:
        prediction = predictor.predict(exported.images[0], top_k=1)[0]
    assert prediction.label == exported.labels[exported.reference[0].argmax()]


def test_all_artifacts_were_calibrated_on_the_same_pictures(exported):
    contracts = [edgeferry.read_contract(p) for p in exported.folder.glob("digits.int8.*[!n]")]
    digests = {contract.calibration.sha256 for contract in contracts}
    assert len(contracts) == 3
    assert len(digests) == 1


def test_onnxruntime_sees_the_promised_tensors(moved):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(moved("onnx"), providers=["CPUExecutionProvider"])
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, 32, 32, 3])
    assert (probabilities.name, probabilities.type) == ("probabilities", "tensor(float)")
    assert probabilities.shape == [1, 10]


def test_openvino_sees_the_promised_tensors(moved):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(moved("openvino"))
    (image,), (probabilities,) = model.inputs, model.outputs
    assert image.get_names() == {"image"}
    assert (image.get_element_type(), list(image.shape)) == (openvino.Type.u8, [1, 32, 32, 3])
    assert probabilities.get_names() == {"probabilities"}
    assert probabilities.get_element_type() == openvino.Type.f32
    assert list(probabilities.shape) == [1, 10]
    assert model.get_rt_info(["model_info", "model_type"]).astype(str) == "Classification"


def test_litert_sees_the_promised_tensors(moved):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(
        str(moved("tflite"))
    )
    (image,), (probabilities,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["dtype"], image["shape"].tolist()) == (np.uint8, [1, 32, 32, 3])
    assert (probabilities["dtype"], probabilities["shape"].tolist()) == (np.float32, [1, 10])
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["image"], "outputs": ["probabilities"]}
