"""Every task in every format: what comes out is what the source gives, in fp32 and int8."""

import numpy as np
import pytest

from edgeferry.contract import OutputSpec
from edgeferry.errors import UsageError
from edgeferry.exporters.recipes import INT8
from edgeferry.outputs import task_of
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.predictor import load
from edgeferry.runtimes.results import Detection, Mask
from edgeferry.runtimes.suppression import suppress

keras = pytest.importorskip("keras")
layers = keras.layers

RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "openvino": "openvino"}


def convolved(image, filters, **options):
    x = layers.Conv2D(filters, 3, padding="same", **options)(image)
    return layers.ReLU()(layers.BatchNormalization()(x))


def segmenter(classes=3, activation="softmax"):
    """A small U-Net: down, up, and across."""
    keras.utils.set_random_seed(5)
    image = keras.Input((32, 32, 3))
    wide = convolved(image, 8)
    x = convolved(layers.MaxPooling2D(2)(wide), 12)
    x = layers.Conv2DTranspose(8, 2, strides=2)(x)
    x = convolved(layers.Concatenate()([x, wide]), 8)
    return keras.Model(image, layers.Conv2D(classes, 1, activation=activation)(x))


def detector(classes=2):
    """Two anchors a cell on a grid of four by four, decoded inside as YOLO's are."""
    keras.utils.set_random_seed(6)
    image = keras.Input((32, 32, 3))
    x = convolved(convolved(image, 8, strides=4), 12, strides=2)
    x = layers.Reshape((32, 5 + classes))(layers.Conv2D(2 * (5 + classes), 1)(x))
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="xy"), -1)
    cells = np.repeat(grid.reshape(1, 16, 2), 2, axis=1).astype(np.float32)
    anchors = np.tile(np.float32([[0.3, 0.3], [0.5, 0.2]]), (16, 1))[None]
    center = (keras.ops.sigmoid(x[..., :2]) + cells) / 4
    half = keras.ops.exp(x[..., 2:4]) * anchors / 2
    boxes = keras.ops.concatenate([center - half, center + half], axis=-1)
    scores = keras.ops.sigmoid(x[..., 4:5]) * keras.ops.sigmoid(x[..., 5:])
    return keras.Model(image, {"boxes": boxes, "scores": scores})


def embedder():
    keras.utils.set_random_seed(7)
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(convolved(convolved(image, 8, strides=2), 12))
    return keras.Model(image, layers.Dense(6)(x))


def many():
    keras.utils.set_random_seed(8)
    image = keras.Input((32, 32, 3))
    x = convolved(image, 8, strides=2)
    return keras.Model(image, [layers.Conv2D(4, 1, name="heat")(x), layers.Flatten(name="all")(x)])


TASKS = {
    "segmentation": (segmenter, {}),
    "detection": (detector, {}),
    "embedding": (embedder, {"task": "embedding"}),
    "raw": (many, {"task": "raw"}),
}


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


@pytest.fixture
def source(task, settle, draw):
    return settle(TASKS[task][0](), draw(count=32))


@pytest.fixture
def prepared(workbench, source, task):
    return workbench.prepare(source, **TASKS[task][1])


def outputs_of(model, images):
    given = model(preprocess(images, "tf"), training=False)
    if isinstance(given, dict):
        return [np.asarray(given[name]) for name in sorted(given)]
    return [np.asarray(each) for each in (given if isinstance(given, list) else [given])]


def run(files, images):
    for format, path in files.items():
        with load(path, runtime=RUNTIMES[format], threads=1) as predictor:
            yield format, predictor.predict_outputs(images)


def test_fp32_is_the_source_in_every_format(workbench, prepared, source, task, draw):
    assert prepared.contract.task == task
    expected = outputs_of(source, draw())
    assert max(np.ptp(each, axis=0).max() for each in expected) > 0.05
    for format, found in run(workbench.export(prepared), draw()):
        assert tuple(found) == prepared.contract.output_names
        for output, want in zip(found.values(), expected, strict=True):
            assert output.dtype == np.float32
            np.testing.assert_allclose(output, want, atol=1e-4, rtol=1e-3, err_msg=format)


def test_int8_is_close_and_ends_in_float(workbench, prepared, source, draw):
    expected = outputs_of(source, draw())
    files = workbench.export(prepared, INT8, draw(count=32))
    for format, found in run(files, draw()):
        for output, want in zip(found.values(), expected, strict=True):
            spread = np.ptp(want)
            assert np.abs(output - want).mean() < 0.02 * spread, format
            assert np.abs(output - want).max() > 0, format
    for path in files.values():
        with load(path, threads=1) as predictor:
            precisions = {each.precision for each in predictor.describe().operations}
        assert "int8" in precisions


def test_one_class_is_a_mask_of_yes_and_no(workbench, settle, draw):
    model = settle(segmenter(1, "sigmoid"), draw(count=32))
    expected = outputs_of(model, draw())[0][..., 0]
    files = workbench.export(workbench.prepare(model), formats=("onnx",))
    with load(files["onnx"], threads=1) as predictor:
        masks = predictor.predict(draw())
    sure = np.abs(expected - 0.5) > 1e-3
    for mask, want, certain in zip(masks, expected, sure, strict=True):
        assert isinstance(mask, Mask)
        np.testing.assert_array_equal(mask.classes[certain], (want >= 0.5)[certain])


def test_detections_lie_on_the_picture(workbench, settle, draw):
    """Seen through the center crop of a picture twice as wide."""
    model = settle(detector(), draw(count=32))
    files = workbench.export(workbench.prepare(model), formats=("onnx",))
    picture = np.repeat(draw(64, 128, count=1)[0], 1, axis=0)
    with load(files["onnx"], threads=1) as predictor:
        seen = predictor.contract.input
        found = predictor.predict(picture, least_score=0.05)
        side = 64 * seen.resize.crop_ratio
        left, top = (128 - side) / 2, (64 - side) / 2
        from edgeferry.images import to_input

        outputs = predictor.predict_outputs(to_input(picture, seen))
    kept = suppress(outputs["boxes"], outputs["scores"], 0.05, 0.45, 100)
    assert 1 < len(kept) == len(found)
    for each, want in zip(found, kept, strict=True):
        assert isinstance(each, Detection)
        x1, y1, x2, y2 = want.box * side + np.float32([left, top, left, top])
        clipped = np.clip([x1, y1, x2, y2], 0, [128, 64, 128, 64])
        np.testing.assert_allclose(each.box, clipped, atol=1.5)
        assert (each.index, each.score) == (want.index, want.score)


def outputs(**shapes):
    return [OutputSpec(name, shape) for name, shape in shapes.items()]


@pytest.mark.parametrize(
    ("given", "told", "task"),
    [
        (outputs(a=(10,)), None, "classification"),
        (outputs(a=(1, 1, 10)), None, "classification"),
        (outputs(a=(8, 8, 3)), None, "segmentation"),
        (outputs(boxes=(20, 4), scores=(20, 3)), None, "detection"),
        (outputs(a=(10,)), "embedding", "embedding"),
        (outputs(a=(10,), b=(4, 4)), "raw", "raw"),
    ],
)
def test_the_shapes_tell_the_task_or_the_user_does(given, told, task):
    assert task_of("net", given, told) == task


@pytest.mark.parametrize(
    ("given", "told", "problem"),
    [
        (outputs(a=(10,), b=(4, 4)), None, r"a \[N, 10\], b \[N, 4, 4\]"),
        (outputs(a=(10,)), "detection", "does not suit detection"),
        (outputs(a=(10,)), "painting", "unknown task"),
        (outputs(boxes=(20, 4), scores=(19, 3)), "detection", "does not suit"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(given, told, problem):
    with pytest.raises(UsageError, match=problem):
        task_of("net", given, told)
