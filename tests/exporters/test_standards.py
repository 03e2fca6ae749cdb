"""What other tools read of an artifact, and that they do: TFLite Metadata, model_info, names."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeferry.contract import Contract, InputSpec, OutputSpec, ResizeRule, SourceInfo
from edgeferry.exporters.recipes import FP16
from edgeferry.exporters.standards import label_lines, model_info
from edgeferry.exporters.tflite_standard_metadata import standard_metadata

pytest.importorskip("tensorflow")
table = pytest.importorskip("flatbuffers.table")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

LABELS = ("great white shark", "", "Zürich")
CLASSIFIER = Contract(
    "classification",
    InputSpec(8, 8),
    3,
    LABELS,
    "softmax",
    "fp32",
    "fp32",
    SourceInfo("net", "0" * 64, "tf"),
)
SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
RGB, GRAYSCALE = 1, 2
FEATURE, IMAGE, BOXES = 1, 2, 3
AXIS_LABELS = 2
KERNEL_OPERATIONS = {
    "tflite": {"CONV_2D", "FULLY_CONNECTED"},
    "onnx": {"Conv", "Gemm"},
    "openvino": {"Convolution", "MatMul"},
}


@pytest.fixture(params=["fp32", "fp16", "int8"])
def precision(request):
    return request.param


@pytest.fixture
def artifact(exported, precision):
    return lambda format: exported.folder / f"digits.{precision}{SUFFIXES[format]}"


class Fields:
    """A table of a flatbuffer, its fields by their numbers in the schema."""

    def __init__(self, data, at=None):
        at = int.from_bytes(data[:4], "little") if at is None else at
        self.data, self.table = data, table.Table(data, at)

    def __contains__(self, field):
        return self.table.Offset(4 + 2 * field) != 0

    def _at(self, field):
        return self.table.Offset(4 + 2 * field) + self.table.Pos

    def text(self, field):
        return self.table.String(self._at(field)).decode()

    def number(self, field, size=1):
        return int.from_bytes(self.data[self._at(field) :][:size], "little")

    def inner(self, field):
        return Fields(self.data, self.table.Indirect(self._at(field)))

    def each(self, field):
        offset = self.table.Offset(4 + 2 * field)
        start, count = self.table.Vector(offset), self.table.VectorLen(offset)
        places = range(start, start + 4 * count, 4)
        return [Fields(self.data, self.table.Indirect(place)) for place in places]

    def floats(self, field):
        offset = self.table.Offset(4 + 2 * field)
        count = self.table.VectorLen(offset)
        return np.frombuffer(self.data, "<f4", count, self.table.Vector(offset)).tolist()


def tensors(metadata):
    """The input's description and the outputs'."""
    assert metadata[4:8] == b"M001"
    (graph,) = Fields(metadata).each(3)
    (image,) = graph.each(2)
    return image, graph.each(3)


def tflite_metadata(path):
    """As other tools find it: they look into the flatbuffer only."""
    tree = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (entry,) = (each for each in tree.metadata if each.name == b"TFLITE_METADATA")
    return bytes(tree.buffers[entry.buffer].data)


def test_a_tflite_tells_what_goes_in_and_what_comes_out(artifact):
    metadata = tflite_metadata(artifact("tflite"))
    assert (Fields(metadata).text(0), Fields(metadata).text(7)) == ("digits", "1.0.0")
    image, (probabilities,) = tensors(metadata)
    assert (image.text(0), image.inner(3).number(0)) == ("image", IMAGE)
    assert image.inner(3).inner(1).number(0) == RGB
    (unit,) = image.each(4)
    normalization = unit.inner(1)
    assert (unit.number(0), normalization.floats(0), normalization.floats(1)) == (1, [0], [1])
    assert (image.inner(5).floats(0), image.inner(5).floats(1)) == ([255], [0])
    assert (probabilities.text(0), probabilities.inner(3).number(0)) == ("probabilities", FEATURE)
    (labels,) = probabilities.each(6)
    assert (labels.text(0), labels.number(2)) == ("labels.txt", AXIS_LABELS)


def test_the_labels_of_a_tflite_are_a_file_behind_it(artifact, exported):
    with zipfile.ZipFile(artifact("tflite")) as archive:
        (entry,) = archive.infolist()
        assert archive.read(entry).decode().splitlines() == list(exported.labels)
    assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_all_of_a_large_tflite_lies_inside_where_older_readers_look(workbench, draw):
    """The quantizer puts what is above a kilobyte behind the flatbuffer."""
    keras = pytest.importorskip("keras")
    image = keras.Input((32, 32, 3))
    scores = keras.layers.Dense(64, activation="softmax")(keras.layers.Flatten()(image))
    prepared = workbench.prepare(keras.Model(image, scores))
    (path,) = workbench.export(prepared, FP16, formats=("tflite",)).values()
    tree = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    assert max(len(each.data) for each in tree.buffers if each.data is not None) > 1 << 18
    assert {each.offset for each in tree.buffers} == {0}
    image, _ = tensors(tflite_metadata(path))
    assert image.text(0) == "image"
    assert not zipfile.is_zipfile(path)  # it has no labels
    expected = workbench.answers(workbench.export(prepared, formats=("tflite",)), draw())
    found = workbench.answers({"tflite": path}, draw())
    np.testing.assert_allclose(found["tflite"], expected["tflite"], atol=1e-3)


def outputs(**shapes):
    return tuple(OutputSpec(name, shape) for name, shape in shapes.items())


TASKS = {
    "segmentation": (outputs(probabilities=(8, 8, 3)), {"probabilities": IMAGE}),
    "detection": (outputs(boxes=(9, 4), scores=(9, 3)), {"boxes": BOXES, "scores": FEATURE}),
    "embedding": (outputs(embedding=(6,)), {"embedding": FEATURE}),
    "raw": (outputs(scores=(9, 3), b=(5,)), {"scores": FEATURE, "b": FEATURE}),
}
LABELED = {"segmentation": {"probabilities"}, "detection": {"scores"}}


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_are_described_as_what_they_are(task):
    shapes, kinds = TASKS[task]
    known = task in LABELED
    contract = replace(
        CLASSIFIER,
        task=task,
        outputs=shapes,
        classes=3 if known else 0,
        labels=LABELS if known else None,
        head="softmax" if task == "segmentation" else "none",
    )
    _, found = tensors(standard_metadata(contract))
    assert {each.text(0): each.inner(3).number(0) for each in found} == kinds
    assert {each.text(0) for each in found if 6 in each} == LABELED.get(task, set())
    ranges = {each.text(0): each.inner(3).inner(2) for each in found if 2 in each.inner(3)}
    axes = {name: (span.number(0, 4), span.number(1, 4)) for name, span in ranges.items()}
    expected = {"segmentation": {"probabilities": (1, 2)}, "detection": {"boxes": (2, 2)}}
    assert axes == expected.get(task, {})
    assert "model_type" not in model_info(contract)


def test_a_grayscale_network_without_labels_names_no_label_file():
    contract = replace(CLASSIFIER, input=InputSpec(8, 8, channels=1), labels=None)
    image, (probabilities,) = tensors(standard_metadata(contract))
    assert image.inner(3).inner(1).number(0) == GRAYSCALE
    assert 6 not in probabilities
    assert "labels" not in model_info(contract)


def test_labels_stay_one_a_line_and_one_a_word():
    assert label_lines(CLASSIFIER) == ["great white shark", "1", "Zürich"]
    assert model_info(CLASSIFIER)["labels"].split() == ["great_white_shark", "1", "Zürich"]


@pytest.mark.parametrize(
    "other",
    [
        {"classes": 1, "labels": ("rust",), "head": "sigmoid"},
        {"input": InputSpec(8, 8, batch=4)},
        {"input": InputSpec(8, 8, channels=1)},
    ],
    ids=["one class", "four at a time", "grayscale"],
)
def test_what_the_model_api_cannot_run_claims_no_type(other):
    assert "model_type" in model_info(CLASSIFIER)
    assert "model_type" not in model_info(replace(CLASSIFIER, **other))


def test_the_model_api_resizes_as_near_to_the_rule_as_it_can():
    rule = ResizeRule("pad", interpolation="bicubic")
    info = model_info(replace(CLASSIFIER, input=InputSpec(8, 8, resize=rule)))
    assert info["resize_type"] == "fit_to_window_letterbox"
    assert (info["interpolation_mode"], info["pad_value"]) == ("CUBIC", "0")
    assert info["reverse_input_channels"] == "False"


def model_api(path):
    models = pytest.importorskip("model_api.models")
    return models.Model.create_model(str(path), device="CPU", nthreads=1)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_the_model_api_opens_a_classifier_and_names_its_answers(artifact, exported, format):
    model = model_api(artifact(format))
    sure = np.sort(exported.reference, axis=1)[:, -1].argsort()[-8:]
    answers = [model(exported.images[index]).top_labels[0].name for index in sure]
    best = exported.reference[sure].argmax(axis=1)
    assert answers == [exported.labels[index] for index in best]


def test_the_model_api_finds_the_labels_above_one_half(workbench, draw):
    """It takes the sigmoid of what a model gives, which here are probabilities."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(4)
    image = keras.Input((32, 32, 3))
    scores = keras.layers.Dense(6, activation="sigmoid")(keras.layers.Flatten()(image))
    prepared = workbench.prepare(keras.Model(image, scores), resize=ResizeRule("squash"))
    (path,) = workbench.export(prepared, formats=("openvino",)).values()
    answers = workbench.answers({"openvino": path}, draw())["openvino"]
    assert 0 < (answers > 0.5).sum() < answers.size
    model = model_api(path)
    for picture, answer in zip(draw(), answers, strict=True):
        found = {label.id for label in model(picture).top_labels}
        assert found == set(np.flatnonzero(answer > 0.5))


def test_onnx_files_pass_the_full_check(artifact):
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(artifact("onnx"), full_check=True)


def operations(path, format):
    """Kinds and names of a model's operations; TFLite names tensors only."""
    if format == "onnx":
        onnx = pytest.importorskip("onnx")
        return [(node.op_type, node.name) for node in onnx.load(path).graph.node]
    if format == "openvino":
        model = pytest.importorskip("openvino").Core().read_model(path)
        assert model.get_friendly_name() == "digits"
        return [(op.get_type_name(), op.get_friendly_name()) for op in model.get_ordered_ops()]
    tree = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = tree.subgraphs[0]
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    return [
        (kinds[tree.operatorCodes[op.opcodeIndex].builtinCode], graph.tensors[op.outputs[0]].name)
        for op in graph.operators
    ]


@pytest.mark.parametrize("format", SUFFIXES)
def test_viewers_show_the_layers_under_their_names(artifact, format):
    path = artifact(format)
    assert b"PartitionedCall" not in path.read_bytes()
    found = operations(path, format)
    names = [str(name) for kind, name in found if kind in KERNEL_OPERATIONS[format]]
    layers = ["conv2d", *(f"conv2d_{number}" for number in range(1, 7)), "dense"]
    assert len(names) == len(layers)
    for layer in layers:
        assert [name for name in names if f"/{layer}/" in name], layer


def tool(name, *arguments):
    """Run a program that came with an engine; give what it prints."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"{name} is not there")
    command = [str(program), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_openvinos_benchmark_runs_an_artifact(exported, format):
    path = exported.folder / f"digits.int8{SUFFIXES[format]}"
    printed = tool("benchmark_app", "-m", path, "-d", "CPU", "-niter", 4, "-hint", "none")
    assert "image" in printed and "u8 / [N,H,W,C]" in printed
    assert "Throughput" in printed


def test_litert_benchmark_runs_an_artifact(exported):
    path = exported.folder / "digits.int8.tflite"
    printed = tool("litert-benchmark", "--model", path, "--num_runs", 4, "--warmup_runs", 1)
    assert "Inference (avg)" in printed
