"""The reference: the trained model behind the contract."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeferry.contract import Contract, InputSpec, SourceInfo
from edgeferry.errors import SourceError
from edgeferry.preprocessing import preprocess
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.keras_runtime import KerasRuntime

keras = pytest.importorskip("keras")
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
CONTRACT = Contract(
    task="classification",
    input=InputSpec(8, 8, batch=None),
    classes=3,
    labels=None,
    head="softmax",
    precision="fp32",
    recipe="fp32",
    source=SourceInfo("small", "0" * 64, "caffe"),
)


def saved(folder: Path, activation: str | None) -> tuple[Path, "keras.Model"]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation=activation)(x))
    model.save(folder / "small.keras")
    return folder / "small.keras", model


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
@pytest.mark.parametrize("has_logits", [True, False])
def test_pictures_in_probabilities_out(tmp_path, head, has_logits):
    path, model = saved(tmp_path, None if has_logits else head)
    outputs = model(preprocess(IMAGES, "caffe"))
    expected = getattr(keras.ops, head)(outputs) if has_logits else outputs
    with KerasRuntime(path, replace(CONTRACT, head=head), RuntimeOptions(threads=1)) as runtime:
        result = runtime.infer(IMAGES)["probabilities"]
        assert runtime.describe().executed == "fp32"
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.asarray(expected), atol=1e-6)


def test_a_saved_model_folder(tmp_path):
    _, model = saved(tmp_path, "softmax")
    model.export(tmp_path / "served", verbose=False)
    with KerasRuntime(tmp_path / "served", CONTRACT, RuntimeOptions()) as runtime:
        result = runtime.infer(IMAGES)["probabilities"]
    np.testing.assert_allclose(result, model(preprocess(IMAGES, "caffe")), atol=1e-6)


def test_a_missing_model_is_told_plainly(tmp_path):
    with pytest.raises(SourceError, match="no model"):
        KerasRuntime(tmp_path / "gone.keras", CONTRACT, RuntimeOptions()).open()
