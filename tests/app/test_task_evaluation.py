"""Evaluation of masks and boxes, held to plain numpy and to cases whose answer is known."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from edgeferry.app.cli import run
from edgeferry.app.detection_accuracy import average_precision, read_true_boxes
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.results import results_schema
from edgeferry.app.segmentation_accuracy import IGNORED, Overlap
from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import Contract, InputSpec, OutputSpec, ResizeRule, SourceInfo
from edgeferry.errors import EdgeferryError, ImageError, LabelError, UsageError
from edgeferry.runtimes.results import Detection, Mask
from edgeferry.views import View

onnx = pytest.importorskip("onnx")
SIZE = 8
COLORS = ("red", "green", "blue")


def contract_of(task, outputs, labels=COLORS, head="none", precision="fp32"):
    return Contract(
        task=task,
        input=InputSpec(SIZE, SIZE, resize=ResizeRule("squash", interpolation="nearest")),
        classes=len(labels),
        labels=labels,
        head=head,
        precision=precision,
        recipe=precision,
        source=SourceInfo("colors", "0" * 64, "none"),
        outputs=outputs,
    )


def write(path, contract, nodes, constants):
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info(each.name, TensorProto.FLOAT, [1, *each.shape])
            for each in contract.outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_NAME: contract.to_json()})
    onnx.save(model, path)
    return path


def segmenter(path, precision="fp32", bias=(0.0, 0.0, 0.0)):
    """The softmax of a pixel's three channels: the class of a pixel is its strongest color."""
    outputs = (OutputSpec("probabilities", (SIZE, SIZE, 3)),)
    make = onnx.helper.make_node
    nodes = [
        make("Cast", ["image"], ["pixels"], to=1),
        make("Mul", ["pixels", "scale"], ["scaled"]),
        make("Add", ["scaled", "bias"], ["logits"]),
        make("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    constants = {"scale": np.float32(0.05), "bias": np.float32(bias)}
    contract = contract_of("segmentation", outputs, head="softmax", precision=precision)
    return write(path, contract, nodes, constants)


@pytest.fixture
def drawings(tmp_path):
    """Pictures of colored blocks twice the network's size, with their masks."""
    random = np.random.default_rng(3)
    for number in range(6):
        mask = random.integers(0, 3, (SIZE, SIZE)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
        pixels = (np.eye(3)[mask] * 60 + random.integers(0, 90, (16, 16, 3))).astype(np.uint8)
        for folder, values in (("pictures", pixels), ("masks", mask)):
            (tmp_path / folder / "a").mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(tmp_path / folder / "a" / f"{number}.png")
    return tmp_path / "pictures", tmp_path / "masks"


def test_mean_iou_is_that_of_plain_numpy(tmp_path, drawings):
    pictures, masks = drawings
    ours = segmenter(tmp_path / "n.int8.onnx", "int8", bias=(0.62, 0, 0))
    twin = segmenter(tmp_path / "n.fp32.onnx")
    report = evaluate([ours, twin], EvaluationOptions(pictures, truth=masks))
    true, found, reference = [], [], []
    for file in sorted(pictures.glob("*/*.png")):
        pixels = np.asarray(Image.open(file).resize((SIZE, SIZE), Image.Resampling.NEAREST))
        small = pixels.astype(np.float64) * 0.05
        found.append((small + np.float64([0.62, 0, 0])).argmax(-1).repeat(2, 0).repeat(2, 1))
        reference.append(small.argmax(-1).repeat(2, 0).repeat(2, 1))
        true.append(np.asarray(Image.open(masks / "a" / file.name)))
    true, found, reference = map(np.stack, (true, found, reference))
    expected = [
        100 * np.sum((true == k) & (found == k)) / np.sum((true == k) | (found == k))
        for k in range(3)
    ]
    result = report.results[0]
    assert min(expected) > 40 and max(expected) < 99
    assert result.extra["class_iou"] == pytest.approx(expected)
    assert result.extra["mean_iou"] == pytest.approx(np.mean(expected))
    assert result.agreement == pytest.approx(100 * np.mean(found == reference))
    assert result.agreement < 100 and result.kl > 0
    assert (report.results[1].agreement, report.results[1].extra["reference"]) == (None, None)
    jsonschema.validate(report.document(), results_schema())


def test_pixels_that_count_for_nothing():
    overlap = Overlap(2)
    view = View(4, 2, 1, 0, 3, 2)  # the network sees the middle
    mask = Mask(np.int32([[0, 1], [1, 1]]), np.ones((2, 2), np.float32), None, view)
    true = np.int32([[1, 0, 0, 1], [1, 1, IGNORED, 1]])
    overlap.add(true, mask)
    assert overlap.counts.tolist() == [[1, 1], [0, 1]]
    assert overlap.by_class() == [50, 50]


@pytest.mark.parametrize("spoil", ["missing", "size", "class", "channels"])
def test_masks_that_do_not_fit_are_refused(tmp_path, drawings, spoil):
    pictures, masks = drawings
    file = masks / "a" / "2.png"
    if spoil == "missing":
        file.unlink()
    else:
        wrong = {"size": np.zeros((4, 4)), "class": np.full((16, 16), 3)}
        Image.fromarray(wrong.get(spoil, np.zeros((16, 16, 3))).astype(np.uint8)).save(file)
    with pytest.raises(ImageError, match="mask"):
        path = segmenter(tmp_path / "n.fp32.onnx")
        evaluate([path], EvaluationOptions(pictures, truth=masks))


@pytest.fixture
def coco(tmp_path):
    """Two pictures, three boxes."""
    boxes = [(1, "red", [2, 2, 4, 4]), (1, "blue", [8, 8, 6, 4]), (2, "red", [0, 0, 10, 10])]
    ids = {"blue": 7, "red": 3}
    data = {
        "images": [{"id": 1, "file_name": "one.png"}, {"id": 2, "file_name": "two.png"}],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [
            {"id": at, "image_id": image, "category_id": ids[name], "bbox": box}
            for at, (image, name, box) in enumerate(boxes)
        ],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(data))
    return path


BOXES = contract_of("detection", (OutputSpec("boxes", (2, 4)), OutputSpec("scores", (2, 3))))


def thing(label, score, *box):
    return Detection(label, COLORS.index(label), score, box)


PERFECT = {
    "one.png": [thing("red", 0.9, 2, 2, 6, 6), thing("blue", 0.8, 8, 8, 14, 12)],
    "two.png": [thing("red", 0.7, 0, 0, 10, 10)],
}


def test_mean_average_precision_of_known_cases(coco):
    pytest.importorskip("pycocotools")
    true = read_true_boxes(coco, BOXES)
    assert average_precision(true, PERFECT) == pytest.approx({"map": 100, "map50": 100})
    # Of red one of two is found, the first: precision 1 up to a recall of a half.
    half = {"one.png": PERFECT["one.png"], "two.png": []}
    assert average_precision(true, half)["map50"] == pytest.approx((100 * 51 / 101 + 100) / 2)
    assert average_precision(true, {name: [] for name in PERFECT}) == {"map": 0, "map50": 0}
    wrong = {"one.png": [thing("blue", 0.9, 2, 2, 6, 6)], "two.png": []}
    assert average_precision(true, wrong)["map50"] == 0


def test_boxes_that_are_none_are_refused(coco, tmp_path):
    pytest.importorskip("pycocotools")
    whole = coco.read_text()
    data = json.loads(whole)
    data["categories"][0]["name"] = "violet"
    coco.write_text(json.dumps(data))
    with pytest.raises(LabelError, match="violet"):
        read_true_boxes(coco, BOXES)
    overflowing = {**json.loads(whole), "categories": [{"id": float("inf"), "name": "red"}]}
    lost = {**json.loads(whole), "categories": [3]}
    texts = ("[]", "{", '{"images": []}', "[" * 100_000, json.dumps(overflowing), json.dumps(lost))
    for content in texts:
        coco.write_text(content)
        with pytest.raises(UsageError, match="COCO"):
            read_true_boxes(coco, BOXES)


def detector(path):
    """Two boxes that are always the same, and sure."""
    boxes = np.float32([[[0.125, 0.125, 0.375, 0.375], [0.5, 0.5, 0.875, 0.75]]])
    scores = np.float32([[[0.9, 0, 0], [0, 0, 0.8]]])
    make = onnx.helper.make_node
    nodes = [
        make("Cast", ["image"], ["pixels"], to=1),
        make("ReduceMean", ["pixels"], ["mean"], keepdims=0),
        make("Mul", ["mean", "nothing"], ["zero"]),
        make("Add", ["fixed_boxes", "zero"], ["boxes"]),
        make("Add", ["fixed_scores", "zero"], ["scores"]),
    ]
    constants = {"nothing": np.float32(0), "fixed_boxes": boxes, "fixed_scores": scores}
    return write(path, BOXES, nodes, constants)


def test_the_commands_show_boxes_and_masks(tmp_path, drawings, coco, capsys):
    pytest.importorskip("pycocotools")
    folder = tmp_path / "seen"
    folder.mkdir()
    for name in PERFECT:
        Image.new("RGB", (16, 16), "gray").save(folder / name)
    path = str(detector(tmp_path / "boxes.fp32.onnx"))
    assert run(["evaluate", path, "--images", str(folder), "--truth", str(coco)]) == 0
    assert "mAP@0.5 %" in capsys.readouterr().out
    command = ["predict", path, str(folder / "one.png"), "--json", str(tmp_path / "p.json")]
    assert run([*command, "--annotate", str(tmp_path / "drawn")]) == 0
    document = json.loads((tmp_path / "p.json").read_text())
    jsonschema.validate(document, results_schema())
    answers = document["results"][0]["predictions"][0]["answers"]
    assert [each["label"] for each in answers] == ["red", "blue"]
    assert answers[0]["box"] == pytest.approx([2, 2, 6, 6])
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "one.png").convert("HSV"))
    assert (drawn[..., 1] > 100).mean() > 0.05  # colors on what was gray

    pictures, _ = drawings
    path = str(segmenter(tmp_path / "n.fp32.onnx"))
    picture = sorted(pictures.glob("*/*.png"))[0]
    command = ["predict", path, str(picture), "--json", str(tmp_path / "p.json")]
    assert run([*command, "--annotate", str(tmp_path / "drawn")]) == 0
    document = json.loads((tmp_path / "p.json").read_text())
    jsonschema.validate(document, results_schema())
    answers = document["results"][0]["predictions"][0]["answers"]
    assert sum(each["share"] for each in answers) == pytest.approx(1)
    with Image.open(tmp_path / "drawn" / picture.with_suffix(".png").name) as drawn:
        assert drawn.width == drawn.height > 16


def test_embeddings_are_arrays_and_are_not_drawn(tmp_path, drawings, capfd):
    pictures, masks = drawings
    contract = contract_of("embedding", (OutputSpec("embedding", (3,)),), labels=())
    make = onnx.helper.make_node
    nodes = [
        make("Cast", ["image"], ["pixels"], to=1),
        make("ReduceMean", ["pixels", "axes"], ["embedding"], keepdims=0),
    ]
    path = str(write(tmp_path / "e.fp32.onnx", contract, nodes, {"axes": np.int64([1, 2])}))
    picture = str(sorted(pictures.glob("*/*.png"))[0])
    assert run(["predict", path, picture, "--json", "-"]) == 0
    document = json.loads(capfd.readouterr().out)
    jsonschema.validate(document, results_schema())
    assert len(document["results"][0]["predictions"][0]["outputs"]["embedding"]) == 3
    assert run(["predict", path, picture, "--annotate", str(tmp_path / "drawn")]) == 2
    assert run(["evaluate", path, "--images", str(pictures), "--truth", str(masks)]) == 2
    assert "leave --truth out" in capfd.readouterr().err


def test_tasks_are_not_mixed(tmp_path, drawings, coco):
    paths = [segmenter(tmp_path / "n.fp32.onnx"), detector(tmp_path / "boxes.fp32.onnx")]
    with pytest.raises(EdgeferryError, match="detection and segmentation"):
        evaluate(paths, EvaluationOptions(Path(drawings[0])))
