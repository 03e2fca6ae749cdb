"""``debug`` finds the layer that ruins a network, and is not misled by its repair."""

from dataclasses import replace

import hostile
import pytest

from edgeferry.app.debugging import compare
from edgeferry.artifact import open_artifact
from edgeferry.exporters.equalization import equalized
from edgeferry.exporters.recipes import INT8

pytest.importorskip("keras")


@pytest.fixture
def network(settle, draw):
    model = settle(hostile.small_mobilenet(), draw(count=32))
    hostile.make_hostile(model)
    return model


@pytest.fixture
def errors(workbench, draw):
    """The layers of an int8 export against the plain fp32 export, by format."""

    def of(prepared, recipe, source):
        int8 = workbench.export(prepared, recipe, draw())
        fp32 = workbench.export(source)
        batches = workbench.calibration(draw(), source)
        return {
            format: compare(open_artifact(path), open_artifact(fp32[format]), batches)
            for format, path in int8.items()
        }

    return of


def test_the_hostile_layer_comes_first_in_every_format(workbench, network, errors):
    prepared = workbench.prepare(network)
    for format, layers in errors(prepared, replace(INT8, method="minmax"), prepared).items():
        worst, second, *_ = layers
        assert worst.layer == hostile.HOSTILE_LAYER, format
        assert worst.added > 0.3 and worst.added > 2 * second.added, format
        # One channel holds all the signal, so that nothing of this shows in decibels.
        assert worst.sqnr_db > 30, format


def test_channels_that_equalization_scaled_are_no_error(workbench, network, errors):
    prepared = workbench.prepare(network)
    recipe = replace(INT8, method="minmax", equalize=True)
    for format, layers in errors(equalized(prepared), recipe, prepared).items():
        assert len(layers) == 8
        for layer in layers:
            assert layer.sqnr_db > 20 and layer.error < 0.1, (format, layer)
            assert layer.saturated < 0.1, (format, layer)
