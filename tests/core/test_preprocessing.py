"""The constants agree with Keras Applications."""

import numpy as np
import pytest

from edgeferry.errors import UsageError
from edgeferry.preprocessing import normalization, preprocess


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)


@pytest.mark.parametrize("mode", ["caffe", "torch", "tf"])
def test_as_keras_applications_defines_it(images, mode):
    imagenet_utils = pytest.importorskip("keras").applications.imagenet_utils
    expected = imagenet_utils.preprocess_input(images.astype(np.float32), mode=mode)
    result = preprocess(images, mode)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-6 * np.abs(expected).max())


def test_zero_one_and_none(images):
    np.testing.assert_allclose(preprocess(images, "zero_one"), images / 255, atol=1e-6)
    np.testing.assert_array_equal(preprocess(images, "none"), images.astype(np.float32))


@pytest.mark.parametrize("mode", ["tf", "zero_one", "none"])
def test_grayscale(images, mode):
    gray = images[..., :1]
    np.testing.assert_allclose(preprocess(gray, mode), preprocess(images, mode)[..., :1])


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_color_constants_are_refused_for_grayscale(images, mode):
    with pytest.raises(UsageError, match="zero_one"):
        preprocess(images[..., :1], mode)


def test_an_unknown_mode_lists_the_known():
    with pytest.raises(UsageError, match="caffe, torch, tf, zero_one, none"):
        normalization("imagenet")
