"""The example networks are those of their papers, and can be trained and exported."""

import math

import numpy as np
import pytest

from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.suppression import suppress

keras = pytest.importorskip("keras")
import shapes  # noqa: E402
from networks import alexnet, googlenet, resnet18, unet, yolov3  # noqa: E402


def trained(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("build", "published"),
    [
        (lambda: alexnet.alexnet(224, 1000), 61_100_840),
        (lambda: resnet18.resnet18(224, 1000), 11_689_512),
        (lambda: yolov3.yolov3(416, 80), 61_949_149),
        (lambda: unet.unet(64, 2), 31_037_698),
    ],
    ids=["alexnet", "resnet18", "yolov3", "unet"],
)
def test_they_have_the_published_number_of_parameters(build, published):
    """As torchvision, Ultralytics and milesial/Pytorch-UNet count theirs."""
    assert trained(build()) == published


def test_googlenet_has_the_published_weights():
    """Caffe's 6,998,552 without its 7,280 biases of convolutions and 1,000 of the classifier."""
    model = googlenet.googlenet(224, 1000)
    kernels = [each for each in model.trainable_weights if each.name == "kernel"]
    assert sum(math.prod(each.shape) for each in kernels) == 6_998_552 - 7_280 - 1_000


NETWORKS = {
    "googlenet": lambda: googlenet.googlenet(32, 5),
    "resnet18": lambda: resnet18.resnet18(32, 5),
    "unet": lambda: unet.unet(32, 3, depth=2, width=8),
    "yolov3": lambda: yolov3.decoded(yolov3.yolov3(32, 2, width=4, blocks=(1, 1, 1, 1, 1))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_format_answers_as_keras_does(workbench, settle, draw, name):
    keras.utils.set_random_seed(0)
    model = NETWORKS[name]()
    size = model.input_shape[1]
    images = draw(size, size)
    settle(model, images)
    given = model(preprocess(images, "tf"), training=False)
    expected = [given[key] for key in sorted(given)] if isinstance(given, dict) else [given]
    assert max(np.ptp(np.asarray(each), axis=0).max() for each in expected) > 0.05
    files = workbench.export(workbench.prepare(model))
    for format, found in workbench.outputs(files, images).items():
        for ours, theirs in zip(found.values(), expected, strict=True):
            theirs = np.asarray(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=format)


def test_yolov3_decodes_what_its_targets_say():
    """Numbers that say exactly what the targets do cost nothing, and give the true boxes."""
    model = yolov3.yolov3(64, 3, width=4, blocks=(1, 1, 1, 1, 1))
    ends = yolov3.decoded(model)
    decode = keras.Model(model.outputs, ends.output)
    for scene in shapes.draw(12, 64, seed=3):
        wanted = yolov3.targets(scene.boxes, scene.kinds, 3, 64)
        bare = [np.full_like(each, -12) for each in wanted]
        for said, true in zip(bare, wanted, strict=True):
            there = true[..., 4] == 1
            said[there, :2] = np.log(true[there, :2] / (1 - true[there, :2]) + 1e-6)
            said[there, 2:4] = true[there, 2:4]
            said[there, 4:] = true[there, 4:] * 24 - 12
            (cost,) = np.asarray(yolov3.loss(true[None], said[None]))
            (worse,) = np.asarray(yolov3.loss(true[None], said[None] + 0.5))
            place = true[there, :2]
            least = -np.sum(place * np.log(place + 1e-9) + (1 - place) * np.log(1 - place))
            assert cost == pytest.approx(least, abs=0.02)
            assert worse > cost
        given = decode([each[None] for each in bare])
        boxes, scores = (np.asarray(given[name][0]) for name in ("boxes", "scores"))
        found = suppress(boxes, scores, 0.4, 0.45, 20)
        assert sorted(each.index for each in found) == sorted(scene.kinds.tolist())
        for each in found:
            true = scene.boxes[scene.kinds == each.index]
            assert np.abs(each.box - true).max(axis=1).min() < 1e-4


def test_the_mask_and_the_boxes_of_a_picture_agree():
    for scene in shapes.draw(20, 96, seed=4):
        assert len(scene.kinds) == len(scene.boxes) >= 1
        for box, kind in zip(np.rint(scene.boxes * 96).astype(int), scene.kinds, strict=True):
            left, top, right, bottom = box
            inside = scene.mask[top : bottom + 1, left : right + 1]
            assert set(np.unique(inside)) <= {0, kind + 1}
            assert np.mean(inside == kind + 1) > 0.4
            rows, columns = np.nonzero(inside)
            assert np.ptp(rows) >= bottom - top - 2 and np.ptp(columns) >= right - left - 2
