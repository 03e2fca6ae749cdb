"""Which calibration method stands for ``auto``, and that it is what an export uses."""

import numpy as np
import pytest

from edgeferry.app.export import ExportOptions, export
from edgeferry.artifact import read_contract

keras = pytest.importorskip("keras")
layers = keras.layers


@pytest.mark.parametrize(
    ("layer", "method"),
    [
        (lambda: layers.Conv2D(6, 3), "percentile"),
        (lambda: layers.DepthwiseConv2D(3), "mse"),
        (lambda: layers.SeparableConv2D(6, 3), "mse"),
    ],
    ids=["convolution", "depthwise", "separable"],
)
def test_the_network_decides(workbench, classifier, layer, method):
    assert workbench.prepare(classifier([layer()])).best_method == method


def test_the_contract_names_it(classifier, draw, tmp_path):
    np.save(tmp_path / "pictures.npy", draw(count=16))
    model = classifier([layers.DepthwiseConv2D(3)])
    for told, used in (("auto", "mse"), ("percentile", "percentile")):
        options = ExportOptions(
            calibration=tmp_path / "pictures.npy",
            preprocessing="tf",
            formats=("tflite",),
            precisions=("int8",),
            calibration_method=told,
        )
        (artifact,) = export(model, tmp_path / told, options).artifacts
        assert read_contract(artifact.path).calibration.method == used
