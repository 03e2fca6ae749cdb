"""Bias correction reaches every weighted layer of a real network, in each format that has it."""

import numpy as np
import pytest

from edgeferry.exporters.bias_correction import rounding_shift
from edgeferry.exporters.channels import ChannelObserver

pytest.importorskip("keras")


def onnx_layers(prepared, calibration):
    from onnx import numpy_helper

    from edgeferry.exporters.onnx_activations import OnnxActivationReader
    from edgeferry.exporters.onnx_bias import channel_axes, corrected
    from edgeferry.exporters.onnx_exporter import OnnxExporter

    model = OnnxExporter(prepared).prepare()
    channels = measured(OnnxActivationReader(model, 1), channel_axes(model), calibration)
    old, new = (
        {each.name: numpy_helper.to_array(each) for each in found.graph.initializer}
        for found in (model, corrected(model, channels))
    )
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            source, kernel, bias = node.input
            outputs_first = old[kernel] if node.op_type == "Conv" else old[kernel].T
            yield outputs_first, channels[source].mean, old[bias] - new[bias]


def tflite_layers(prepared, calibration):
    from edgeferry.exporters.tflite_activations import TFLiteActivationReader
    from edgeferry.exporters.tflite_bias import channel_axes, corrected
    from edgeferry.exporters.tflite_exporter import TFLiteExporter
    from edgeferry.exporters.tflite_metadata import unpack

    model = TFLiteExporter(prepared).prepare()
    channels = measured(TFLiteActivationReader(model, 1), channel_axes(model), calibration)
    old, new = unpack(model), unpack(corrected(model, channels))
    graph = old.subgraphs[0]
    for op in graph.operators:
        source, *weights = (graph.tensors[index] for index in op.inputs)
        if len(weights) == 2 and source.name.decode() in channels:
            kernel, bias = (old.buffers[each.buffer].data.view(np.float32) for each in weights)
            moved = bias - new.buffers[weights[1].buffer].data.view(np.float32)
            shaped = kernel.reshape(weights[0].shape)
            depthwise = shaped.ndim == 4 and shaped.shape[0] == 1
            order = {2: (0, 1), 4: (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)}[shaped.ndim]
            yield shaped.transpose(order), channels[source.name.decode()].mean, moved


def openvino_layers(prepared, calibration):
    from edgeferry.exporters.openvino_activations import OpenVinoActivationReader
    from edgeferry.exporters.openvino_bias import channel_axes, corrected
    from edgeferry.exporters.openvino_exporter import OpenVinoExporter

    model = OpenVinoExporter(prepared).prepare()
    channels = measured(OpenVinoActivationReader(model, 1), channel_axes(model), calibration)
    for old, new in zip(
        model.get_ordered_ops(), corrected(model, channels).get_ordered_ops(), strict=True
    ):
        if old.get_type_name() in ("Convolution", "GroupConvolution", "MatMul"):
            source, kernel = (value.get_node() for value in old.input_values())
            values = kernel.data
            if old.get_type_name() == "GroupConvolution":
                values = values.reshape(-1, *values.shape[2:])
            elif old.get_type_name() == "MatMul" and not old.get_attributes()["transpose_b"]:
                values = values.T
            before, after = (
                next(iter(each.output(0).get_target_inputs())).get_node().input_value(1).get_node()
                for each in (old, new)
            )
            moved = (before.data - after.data).reshape(-1)
            yield values, channels[source.get_friendly_name()].mean, moved


def measured(reader, axes, calibration):
    observer = ChannelObserver(axes)
    for batch in calibration:
        observer.observe(reader.read(batch.pictures))
    return observer.channels()


@pytest.mark.parametrize("read", [onnx_layers, tflite_layers, openvino_layers])
def test_every_bias_is_moved_by_the_shift_of_its_layer(workbench, classifier, draw, read):
    from keras import layers

    front = [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()]
    prepared = workbench.prepare(classifier(front))
    found = list(read(prepared, workbench.calibration(draw(), prepared)))
    assert len(found) == 8  # the depthwise one, the stem, two and three in the blocks, the scores
    for kernel, means, moved in found:
        expected = rounding_shift(kernel, means)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(moved, expected, atol=1e-5)
