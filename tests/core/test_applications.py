"""Networks of Keras Applications by name: each as Keras builds it, with Keras's preprocessing."""

import importlib

import numpy as np
import pytest

from edgeferry.applications import APPLICATIONS, nearest_applications
from edgeferry.errors import SourceError
from edgeferry.preprocessing import preprocess
from edgeferry.trained_model import load_trained_model

keras = pytest.importorskip("keras")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_its_preprocessing_is_that_of_keras(name):
    application = APPLICATIONS[name]
    module = getattr(keras.applications, application.module)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    expected = module.preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(preprocess(images, application.preprocessing), expected, atol=1e-5)


def test_every_network_of_keras_has_a_name():
    public = {each for each in vars(keras.applications) if each[0].isupper()}
    assert {each.builder for each in APPLICATIONS.values()} == public


@pytest.mark.parametrize("name", [name for name in APPLICATIONS if "v3_" not in name])
def test_its_size_is_that_of_its_weights(name, monkeypatch):
    """MobileNetV3 has no size of its own; its paper and its weights take 224."""
    utils = importlib.import_module("keras.src.applications.imagenet_utils")

    def told(*_, default_size, **__):
        raise StopIteration(default_size)

    monkeypatch.setattr(utils, "obtain_input_shape", told)
    with pytest.raises(StopIteration) as caught:
        getattr(keras.applications, APPLICATIONS[name].builder)(weights=None)
    assert caught.value.value == APPLICATIONS[name].size


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mobilenetv2", "mobilenet_v2"),
        ("VGG16", "vgg16"),
        ("inception-v3", "inception_v3"),
        ("EfficientNetB0", "efficientnet_b0"),
        ("resnet-50", "resnet50"),
        ("densenet-121", "densenet121"),
    ],
)
def test_a_name_spelled_otherwise_lists_the_nearest(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nearest_applications(typed)[0] == meant
    with pytest.raises(SourceError, match=f"no model {typed}\n.*{meant}"):
        load_trained_model(typed)
