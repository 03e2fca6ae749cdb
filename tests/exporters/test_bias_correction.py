"""Bias correction against numpy: what rounding the weights moves is taken back exactly."""

import numpy as np
import pytest

from edgeferry.exporters.bias_correction import rounding_shift
from edgeferry.exporters.channels import ChannelObserver, Channels

RANDOM = np.random.default_rng(0)


def rounded(kernel):
    """int8, symmetric, per output channel: the plain definition."""
    result = np.empty(kernel.shape)
    for output, weights in enumerate(kernel.astype(np.float64)):
        scale = np.abs(weights).max() / 127 or 1
        result[output] = np.rint(weights / scale) * scale
    return result


def test_the_shift_of_a_matrix_is_that_of_its_mean_output():
    kernel = RANDOM.normal(size=(5, 7)).astype(np.float32)
    inputs = RANDOM.uniform(0, 4, (1000, 7))
    moved = (inputs @ rounded(kernel).T).mean(axis=0) - (inputs @ kernel.T).mean(axis=0)
    np.testing.assert_allclose(rounding_shift(kernel, inputs.mean(axis=0)), moved, atol=1e-12)
    assert np.abs(moved).min() > 1e-6


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_shift_of_a_convolution_is_that_of_its_mean_output(groups):
    """Without padding, on inputs whose channels are constant: there it is exact."""
    kernel = RANDOM.normal(size=(12, 6 // groups, 3, 3)).astype(np.float32)
    means = RANDOM.uniform(-1, 4, 6)
    own = means.reshape(groups, 6 // groups)
    expected = [
        np.einsum("ihw,i->", (rounded(kernel) - kernel)[output], own[output * groups // 12])
        for output in range(12)
    ]
    np.testing.assert_allclose(rounding_shift(kernel, means), expected, atol=1e-12)


def test_weights_that_int8_holds_exactly_move_nothing():
    kernel = RANDOM.integers(-127, 128, (4, 3, 2, 2)).astype(np.float32)
    kernel[:, 0, 0, 0] = 127
    kernel[3] = 0  # a dead channel has no scale
    np.testing.assert_array_equal(rounding_shift(kernel, np.ones(3)), np.zeros(4))


@pytest.mark.parametrize("axis", [1, -1])
def test_channels_are_those_of_all_pictures(axis):
    activations = RANDOM.normal(2, 3, (6, 4, 5, 3)).astype(np.float32)
    if axis == 1:
        activations = np.moveaxis(activations, 3, 1)
    observer = ChannelObserver({"a": axis, "b": axis})
    for at in range(0, 6, 2):
        batch = activations[at : at + 2]
        observer.observe({"a": batch, "b": 2 * batch, "unasked": batch})
    flat = np.moveaxis(activations, axis, -1).reshape(-1, 3)
    found = observer.channels()
    assert set(found) == {"a", "b"}
    for name, factor in (("a", 1), ("b", 2)):
        expected = factor * flat.mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(found[name].mean, expected, atol=1e-6)
        np.testing.assert_array_equal(found[name].low, factor * flat.min(axis=0))
        np.testing.assert_array_equal(found[name].high, factor * flat.max(axis=0))


def test_the_corrected_onnx_model_keeps_its_mean_answer():
    onnx = pytest.importorskip("onnx")
    from edgeferry.exporters.onnx_bias import channel_axes, corrected

    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    kernel = RANDOM.normal(size=(4, 3, 1, 1)).astype(np.float32)
    matrix = RANDOM.normal(size=(4, 2)).astype(np.float32)
    constants = {
        "kernel": kernel,
        "bias": np.ones(4, np.float32),
        "matrix": matrix,
        "shift": np.zeros(2, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel", "bias"], ["y"]),
            helper.make_node("Flatten", ["y"], ["flat"]),
            helper.make_node("Gemm", ["flat", "matrix", "shift"], ["z"]),
        ],
        "two",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 1, 1])],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph)
    assert channel_axes(model) == {"x": 1, "flat": 1}
    means = {"x": np.array([1.0, 2.0, 3.0]), "flat": np.array([4.0, 3.0, 2.0, 1.0])}
    channels = {name: Channels(mean, mean, mean) for name, mean in means.items()}
    result = {
        each.name: numpy_helper.to_array(each)
        for each in corrected(model, channels).graph.initializer
    }
    exact = kernel[:, :, 0, 0] @ means["x"] + 1
    np.testing.assert_allclose(
        rounded(kernel)[:, :, 0, 0] @ means["x"] + result["bias"], exact, atol=1e-5
    )
    np.testing.assert_allclose(
        means["flat"] @ rounded(matrix.T).T + result["shift"], means["flat"] @ matrix, atol=1e-5
    )
    untouched = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    np.testing.assert_array_equal(untouched["bias"], np.ones(4))
