"""Pictures of every size, channel count and batch that a network may take."""

from dataclasses import replace

import numpy as np
import pytest

from edgeferry.errors import UsageError
from edgeferry.exporters.recipes import FP16, FP32, INT8, INT8_U8S8

keras = pytest.importorskip("keras")
layers = keras.layers


def flattened(x):
    """A head whose reshape would keep a batch size that the converter saw."""
    x = layers.Reshape((4, 4))(x)
    return layers.Dense(5, activation="softmax")(layers.Flatten()(x))


def test_pictures_need_not_be_square(workbench, classifier, draw, reference):
    model = classifier(shape=(48, 64, 3))
    images = draw(48, 64)
    workbench.require_agreement(workbench.prepare(model), images, reference(model, images))


def test_one_color(workbench, classifier, draw, reference):
    model = classifier([layers.Rescaling(1 / 100, -1)], shape=(32, 32, 1), preprocessing="none")
    images = draw(channels=1)
    prepared = workbench.prepare(model, "none")
    assert prepared.contract.input.channels == 1
    workbench.require_agreement(prepared, images, reference(model, images, "none"))


@pytest.mark.parametrize("preprocessing", ["caffe", "torch"])
def test_color_preprocessing_is_refused_for_one_color(workbench, classifier, preprocessing):
    with pytest.raises(UsageError, match="three colors"):
        workbench.prepare(classifier(shape=(32, 32, 1)), preprocessing)


def test_a_size_left_open_is_fixed(workbench, classifier, draw, reference):
    model = classifier(shape=(None, None, 3))
    with pytest.raises(UsageError, match="--size"):
        workbench.prepare(model)
    images = draw(40, 56)
    prepared = workbench.prepare(model, size=(40, 56))
    assert prepared.contract.input.shape == (1, 40, 56, 3)
    workbench.require_agreement(prepared, images, reference(model, images))


def test_a_size_that_is_fixed_stays(workbench, classifier):
    with pytest.raises(UsageError, match="takes 32x32 pictures, not 40x40"):
        workbench.prepare(classifier(), size=(40, 40))


@pytest.mark.parametrize("batch", [2, None])
@pytest.mark.parametrize("recipe", [FP32, FP16, INT8], ids=lambda recipe: recipe.name)
def test_batches(workbench, classifier, draw, reference, batch, recipe):
    model = classifier(head=flattened)
    prepared = workbench.prepare(model, batch=batch)
    images = draw(count=13)  # the last batch of the calibration and of the answers is not full
    expected = reference(model, images)
    files = workbench.export(prepared, recipe, images, ("tflite", "openvino"))
    onnx = INT8_U8S8 if recipe is INT8 else recipe
    files |= workbench.export(prepared, onnx, images, ("onnx",))
    largest = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.1}[recipe.precision]
    for format, answers in workbench.answers(files, images).items():
        np.testing.assert_allclose(answers, expected, atol=largest, err_msg=format)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_calibration_fills_its_batches_with_the_last_picture(workbench, classifier, draw, count):
    images = draw(count=count)
    calibration = workbench.calibration(images, workbench.prepare(classifier()))
    batches = list(replace(calibration, batch=4))
    assert len(batches) == len(replace(calibration, batch=4)) == (2 if count == 5 else 1)
    assert sum(batch.count for batch in batches) == count
    flat = np.concatenate([batch.pictures for batch in batches])
    np.testing.assert_array_equal(flat[:count], images)
    for picture in flat[count:]:
        np.testing.assert_array_equal(picture, images[-1])
