"""Times large matrix products in one engine; prints JSON. ``roofline.py`` starts it.

There are several in a row, so that what stands at the ends of a network (a picture made int8,
scores made float) weighs little; integers stay integers between them.
It tells the precision that really ran, as the engine says, since e.g. OpenVINO runs what is asked
for in bfloat16 in float32 where the processor has no instructions for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgeferry.operations import precision_of

Run = Callable[[], object]
Product = tuple[Run, str]
"""What runs it once, and what it runs in."""

DEPTH = 4
"""Products in a row."""
_SCALE, _ZERO_POINT = 0.02, 128


def openvino(precision: str, size: int, threads: int) -> Product:
    """MatMuls by constant weights; int8 by FakeQuantize, as NNCF writes it."""
    import openvino as ov
    from openvino import opset13 as ops

    picture = ops.parameter([size, size], np.float32)
    weights = ops.constant(_weights(size))
    if precision == "int8":
        weights = ops.fake_quantize(weights, *_limits(-127 * _SCALE, 127 * _SCALE), 255)
    values, largest = picture, 255 * _SCALE
    for _ in range(DEPTH):
        if precision == "int8":
            values = ops.fake_quantize(values, *_limits(0, largest), 256)
        values, largest = ops.matmul(values, weights, False, True), _SCALE * size
    model = ov.Model([values], [picture])
    hint = "bf16" if precision == "bf16" else "f32"
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(model, "CPU", {**settings, "INFERENCE_PRECISION_HINT": hint})
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(_picture(size)))
    return request.infer, _openvino_precision(compiled)


def _limits(low: float, high: float) -> tuple[Any, ...]:
    return tuple(np.float32(each) for each in (low, high, low, high))


def _openvino_precision(compiled: Any) -> str:
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) in ("FullyConnected", "MatMul"):
            return precision_of(facts["primitiveType"].astype(str).rpartition("_")[2])
    return "unknown"


def onnxruntime(precision: str, size: int, threads: int) -> Product:
    """MatMuls, or QLinearMatMuls of uint8 by int8."""
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    constants: dict[str, np.ndarray] = {"weights": _weights(size).T.copy()}
    others, kind, data_type = ["weights"], "MatMul", TensorProto.FLOAT
    picture: np.ndarray = _picture(size)
    if precision == "int8":
        kind, data_type = "QLinearMatMul", TensorProto.UINT8
        picture = (picture / _SCALE).astype(np.uint8)
        constants = {
            "weights": np.round(constants["weights"] / _SCALE).astype(np.int8),
            "scale": np.float32(_SCALE),
            "wide": np.float32(_SCALE * size / 8),
            "zero": np.uint8(_ZERO_POINT),
            "none": np.int8(0),
        }
        others = ["scale", "zero", "weights", "scale", "none", "wide", "zero"]
    steps = ["x", *(f"product{number}" for number in range(1, DEPTH)), "y"]
    graph = helper.make_graph(
        [helper.make_node(kind, [a, *others], [b]) for a, b in pairwise(steps)],
        "product",
        [helper.make_tensor_value_info("x", data_type, [size, size])],
        [helper.make_tensor_value_info("y", data_type, [size, size])],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": picture}), precision


def litert(precision: str, size: int, threads: int) -> Product:
    """FULLY_CONNECTED in XNNPACK; int8 by TensorFlow's converter."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    weights = tf.constant(_weights(size).T)

    def products(values: Any) -> Any:
        for _ in range(DEPTH):
            values = tf.matmul(values, weights)
        return values

    concrete = tf.function(products).get_concrete_function(tf.TensorSpec([size, size], tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[_picture(size)]]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "product.tflite")
        path.write_bytes(converter.convert())
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    values = np.random.default_rng(2).integers(-100, 100, (size, size))
    interpreter.set_tensor(given["index"], values.astype(given["dtype"]))
    return interpreter.invoke, precision_of(np.dtype(given["dtype"]).name)


ENGINES: dict[str, Callable[[str, int, int], Product]] = {
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "litert": litert,
}


def _picture(size: int) -> np.ndarray:
    draw = np.random.default_rng(0).uniform(0, 255 * _SCALE, (size, size))
    return np.asarray(draw, np.float32)


def _weights(size: int) -> np.ndarray:
    """Output channels by input channels."""
    draw = np.random.default_rng(1).uniform(-127 * _SCALE, 127 * _SCALE, (size, size))
    return np.asarray(draw, np.float32)


def timed(run: Run, seconds: float) -> list[float]:
    """Seconds of each run, for a while, after a third of it for warming up."""
    until = time.perf_counter() + seconds / 3
    run()
    while time.perf_counter() < until:
        run()
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while not taken or time.perf_counter() < until:
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    """Print what one engine reaches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("precision", choices=("fp32", "bf16", "int8"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    run, executed = ENGINES[options.engine](options.precision, options.size, options.threads)
    taken = timed(run, options.seconds)
    rates = {"gmac_per_s": statistics.median(taken), "best_gmac_per_s": min(taken)}
    told = {name: DEPTH * options.size**3 / seconds / 1e9 for name, seconds in rates.items()}
    print(json.dumps({"executed": executed, "runs": len(taken), **told}))


if __name__ == "__main__":
    main()
