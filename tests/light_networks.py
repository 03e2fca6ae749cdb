"""The ONNX package's own test networks, with weights that tell pictures apart.

Their own weights are constants, and their answers never vary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAMES = (
    "resnet50",
    "bvlc_alexnet",
    "inception_v1",
    "inception_v2",
    "densenet121",
    "vgg19",
    "squeezenet",
    "shufflenet",
    "zfnet512",
)
_SPREAD, _SPREADS = 2.0, {"resnet50": 1.5}
"""Standard deviation of the scores over pictures; less where rounding itself is amplified."""


def write_light(name: str, images: Any, path: Path) -> Path:
    """Write a light network with seeded weights of a sane scale.

    Args:
        name: One of ``NAMES``.
        images: float32 ``[N, 224, 224, 3]`` to settle it on.
        path: Where to.
    """
    import onnx

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.load(folder / f"light_{name}.onnx")
    model.ir_version = 9  # constants need not be inputs then
    _fill(model.graph)
    onnx.save(model, path)
    _settle(model, path, images, _SPREADS.get(name, _SPREAD))
    onnx.save(model, path)
    return path


def _fill(graph: Any) -> None:
    from onnx import numpy_helper

    shapes = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    random = np.random.default_rng(0)
    for node in list(graph.node):
        if node.op_type == "ConstantOfShape":
            value = _drawn(graph, node.output[0], shapes[node.input[0]], random)
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            graph.node.remove(node)
    kept = {name for node in graph.node for name in node.input}
    for each in [each for each in graph.initializer if each.name not in kept]:
        graph.initializer.remove(each)
    constants = {value.name for value in graph.initializer}
    for each in [each for each in graph.input if each.name not in kept - constants]:
        graph.input.remove(each)


def _drawn(graph: Any, name: str, shape: Any, random: np.random.Generator) -> Any:
    reader = next(node for node in graph.node if name in node.input)
    place, sizes = list(reader.input).index(name), tuple(int(size) for size in shape)
    if reader.op_type == "BatchNormalization" and place == 1:
        return random.uniform(0.8, 1.2, sizes).astype(np.float32)
    if len(sizes) < 2:
        return random.uniform(-0.1, 0.1, sizes).astype(np.float32)
    return random.normal(0, np.sqrt(2 / np.prod(sizes[1:])), sizes).astype(np.float32)


def _settle(model: Any, path: Path, images: Any, spread: float) -> None:
    """Let batch norms fit the first picture, and the scores differ over all of them."""
    import tensorflow as tf
    from onnx import numpy_helper

    from edgeferry.onnx_source.network import OnnxNetwork, read_onnx

    values = {value.name: value for value in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")][-1]
    scores = []
    network = OnnxNetwork(read_onnx(path), path)
    for image in images:
        known = dict(network._constants)
        known[network._input] = network.picture(tf.constant(image[None]))
        for node in network._nodes:
            if node.op_type == "BatchNormalization" and not scores:
                moments = tf.nn.moments(known[node.input[0]].last(), [0, 1, 2])
                for name, moment in zip(node.input[3:5], moments, strict=True):
                    network._constants[name] = known[name] = moment.numpy() + np.float32(1e-3)
                    values[name].CopyFrom(numpy_helper.from_array(known[name], name))
            network._run(node, known)
        given = known[last.output[0]].held.numpy()
        scores.append(given.reshape(-1, given.shape[-1]).mean(axis=0))
    factor = np.float32(spread / np.std(scores, axis=0).mean())
    kernel, bias = (network._constants[name] for name in last.input[1:3])
    shifted = factor * (bias - np.mean(scores, axis=0))
    for name, value in zip(last.input[1:3], (factor * kernel, shifted), strict=True):
        _put(model.graph, name, numpy_helper.from_array(value.astype(np.float32), name))


def _put(graph: Any, name: str, value: Any) -> None:
    """Make a tensor a constant, whatever it was computed by."""
    for lists, key in ((graph.initializer, "name"), (graph.node, "output")):
        for each in [each for each in lists if getattr(each, key) in (name, [name])]:
            lists.remove(each)
    graph.initializer.append(value)
