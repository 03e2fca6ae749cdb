"""Files that edgeferry did not make, run under a contract that the user gives."""

import json

import numpy as np
import pytest
from PIL import Image

import edgeferry
from edgeferry.app.cli import run
from edgeferry.errors import ContractError, UsageError
from edgeferry.preprocessing import preprocess

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
tf = pytest.importorskip("tensorflow")
layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), np.uint8)
SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 32, 3))
    x = layers.ReLU()(layers.Conv2D(8, 3, strides=2)(image))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(
        image, layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(0, 3))(x)
    )


@pytest.fixture(scope="module")
def expected(model):
    logits = np.asarray(model(preprocess(IMAGES, "torch")), np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """As Keras itself writes them."""
    folder = tmp_path_factory.mktemp("foreign")
    model(np.zeros((1, 24, 32, 3), np.float32))  # Keras exports only what was called
    model.export(folder / "net.onnx", format="onnx", verbose=False)
    model.export(str(folder / "net.xml"), format="openvino", verbose=False)
    converted = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (folder / "net.tflite").write_bytes(converted)
    return {name: folder / f"net{suffix}" for name, suffix in SUFFIXES.items()}


GIVEN = {"preprocessing": "torch", "head": "logits", "labels": ["a", "b", "c", "d"]}


@pytest.mark.parametrize("format", SUFFIXES)
def test_it_answers_as_the_model_does(files, expected, format):
    with edgeferry.load(files[format], contract=GIVEN, threads=1) as predictor:
        np.testing.assert_allclose(predictor.predict_proba(IMAGES), expected, atol=1e-5)
        first = predictor.predict(Image.fromarray(IMAGES[0]), top_k=1)[0]
        assert first.label == "abcd"[expected[0].argmax()]
        assert predictor.contract.input.shape[1:] == (24, 32, 3)


@pytest.mark.parametrize("format", SUFFIXES)
def test_without_a_contract_it_is_refused(files, format):
    with pytest.raises(ContractError, match="carries no edgeferry contract"):
        edgeferry.load(files[format])


def test_layout_of_other_frameworks(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    body = torch.nn.Conv2d(3, 5, 3, padding=1)
    mask = torch.nn.Sequential(body, torch.nn.Softmax(dim=1)).eval()
    program = torch.onnx.export(mask, (torch.zeros(1, 3, 24, 32),), dynamo=True, verbose=False)
    program.save(tmp_path / "mask.onnx")
    given = {"preprocessing": "zero_one", "head": "softmax"}
    with edgeferry.load(tmp_path / "mask.onnx", contract=given) as predictor, torch.no_grad():
        assert predictor.contract.task == "segmentation"
        (found,) = predictor.predict_outputs(IMAGES[:1])["probabilities"]
        picture = torch.from_numpy(preprocess(IMAGES[:1], "zero_one").transpose(0, 3, 1, 2).copy())
        np.testing.assert_allclose(found, mask(picture)[0].permute(1, 2, 0), atol=1e-5)


def node(kind, inputs, output, **attributes):
    return onnx.helper.make_node(kind, inputs, [output], **attributes)


def write_graph(path, nodes, input_type, shape, *outputs):
    info = onnx.helper.make_tensor_value_info
    given = [info(name, 1, sizes) for name, sizes in outputs]
    graph = onnx.helper.make_graph(nodes, "g", [info("x", input_type, shape)], given)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_raw_outputs_stay_as_they_are(tmp_path):
    write_graph(
        tmp_path / "raw.onnx",
        [node("Neg", ["x"], "map"), node("GlobalMaxPool", ["x"], "most")],
        onnx.TensorProto.FLOAT,
        ["n", 3, 24, 32],
        ("map", ["n", 3, 24, 32]),
        ("most", ["n", 3, 1, 1]),
    )
    given = {"preprocessing": "none", "task": "raw"}
    with edgeferry.load(tmp_path / "raw.onnx", contract=given) as predictor:
        found = predictor.predict(list(IMAGES))
    for image, one in zip(IMAGES, found, strict=True):
        np.testing.assert_array_equal(one["map"], -image.transpose(2, 0, 1).astype(np.float32))
        np.testing.assert_array_equal(one["most"].ravel(), image.max(axis=(0, 1)))


def test_integer_inputs(tmp_path):
    write_graph(
        tmp_path / "bytes.onnx",
        [node("Cast", ["x"], "f", to=1), node("ReduceMean", ["f"], "y", axes=[1, 2], keepdims=0)],
        onnx.TensorProto.UINT8,
        ["n", 24, 32, 3],
        ("y", ["n", 3]),
    )
    given = {"preprocessing": "none", "task": "embedding"}
    with edgeferry.load(tmp_path / "bytes.onnx", contract=given) as predictor:
        found = predictor.predict(list(IMAGES))
    np.testing.assert_allclose(found, IMAGES.mean(axis=(1, 2)), rtol=1e-5)
    with pytest.raises(ContractError, match="does its own preprocessing"):
        edgeferry.load(tmp_path / "bytes.onnx", contract=given | {"preprocessing": "tf"})


def test_quantized_inputs_and_outputs(model, expected, tmp_path):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    pictures = preprocess(
        np.random.default_rng(1).integers(0, 256, (40, 24, 32, 3), np.uint8), "torch"
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    with edgeferry.load(tmp_path / "net.tflite", contract=GIVEN, threads=1) as predictor:
        found = np.concatenate([predictor.predict_proba(IMAGES[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(found, expected, atol=0.1)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_named_outputs_of_several(tmp_path):
    image = keras.Input((24, 32, 3))
    vector = layers.Dense(6, name="vector")(layers.GlobalAveragePooling2D()(image))
    model = keras.Model(image, {"vector": vector, "rest": layers.Flatten()(image)})
    model(IMAGES.astype(np.float32))
    model.export(tmp_path / "two.onnx", format="onnx", verbose=False)
    named = {"preprocessing": "none", "task": "embedding", "outputs": {"embedding": "vector"}}
    with edgeferry.load(tmp_path / "two.onnx", contract=named) as predictor:
        wanted = np.asarray(model(IMAGES.astype(np.float32))["vector"])
        np.testing.assert_allclose(predictor.predict(list(IMAGES)), wanted, rtol=1e-4, atol=1e-3)
    with pytest.raises(ContractError, match="has no output 'gone'"):
        edgeferry.load(tmp_path / "two.onnx", contract=named | {"outputs": {"embedding": "gone"}})


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"head": "logits"}, ContractError, "does not say what the model's input expects"),
        ({"preprocessing": "tf"}, ContractError, "what the scores of net are is not known"),
        ({"preprocessing": "pets"}, ContractError, "unknown preprocessing 'pets'"),
        ({"preprocessing": "tf", "head": "tail"}, ContractError, "unknown head 'tail'"),
        ({"preprocessing": "tf", "hed": "logits"}, ContractError, "has 'hed'"),
        ({"preprocessing": "tf", "size": "1x2x3"}, ContractError, "malformed"),
        ({"preprocessing": "tf", "size": 48}, ContractError, "takes 24x32 pictures, not 48x48"),
        ({"preprocessing": "tf", "task": "detection"}, UsageError, "does not suit detection"),
        (GIVEN | {"labels": ["a"]}, edgeferry.EdgeferryError, "1 labels for a network of 4"),
    ],
)
def test_what_does_not_suit_is_told(files, given, error, told):
    with pytest.raises(error, match=told):
        edgeferry.load(files["onnx"], contract=given)


def test_an_artifact_of_ours_keeps_its_contract(files, tmp_path, model):
    model.save(tmp_path / "net.keras")
    told = ["--preprocessing", "torch", "--head", "logits", "--precisions", "fp32"]
    command = ["export", str(tmp_path / "net.keras"), "-o", str(tmp_path / "out"), *told]
    assert run([*command, "--formats", "onnx"]) == 0
    with pytest.raises(ContractError, match="a contract of its own"):
        edgeferry.load(tmp_path / "out" / "net.fp32.onnx", contract=GIVEN)


@pytest.fixture
def contract_file(tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "net.json").write_text(
        json.dumps(GIVEN | {"labels": "labels.txt", "resize": "squash"})
    )
    return tmp_path / "net.json"


@pytest.mark.parametrize("format", SUFFIXES)
def test_the_commands(files, expected, contract_file, format, capfd):
    Image.fromarray(IMAGES[1]).save(contract_file.with_name("picture.png"))
    picture, told = str(contract_file.with_name("picture.png")), ["--contract", str(contract_file)]
    assert run(["predict", str(files[format]), picture, *told, "--json", "-"]) == 0
    (result,) = json.loads(capfd.readouterr().out)["results"]
    answer = result["predictions"][0]["answers"][0]
    assert answer["label"] == "abcd"[expected[1].argmax()]
    assert answer["score"] == pytest.approx(expected[1].max(), abs=1e-4)
    assert run(["predict", str(files[format]), picture]) == 2
    assert "--contract" in capfd.readouterr().err


@pytest.mark.parametrize("format", SUFFIXES)
def test_inspect_tells_what_is_there_and_what_is_missing(files, format, capfd):
    assert run(["inspect", str(files[format]), "--json", "-"]) == 0
    (result,) = json.loads(capfd.readouterr().out)["results"]
    (given,) = result["inputs"]
    assert given["dtype"] == "float32"
    assert given["shape"][1:] == [24, 32, 3]
    (output,) = result["outputs"]
    assert output["shape"][1:] == [4]
    assert result["contract"] is None
    assert {"preprocessing", "labels", "resize rule"} <= set(result["missing"])
    assert {"op": "Conv", "precision": "fp32"}.items() <= next(
        each for each in result["ops"] if each["op"] == "Conv"
    ).items()
    assert result["size_bytes"] == sum(
        each.stat().st_size
        for each in files[format].parent.glob("net.*")
        if each.suffix in {"openvino": (".xml", ".bin")}.get(format, (SUFFIXES[format],))
    )
