"""The engines as their own documentation uses them, on any of their models.

OpenVINO: docs.openvino.ai, "OpenVINO Runtime API basics". ONNX Runtime: onnxruntime.ai, "Get
started with Python". LiteRT: ai.google.dev/edge/litert, "Run inference with Python".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[Any]], NDArray[Any]]
"""One inference: an array as the model takes it, and the first output."""


def opened(path: str, threads: int) -> Run:
    """A model open in its engine, on the CPU, float operations in float32.

    Args:
        path: ``.xml``, ``.onnx`` or ``.tflite``.
        threads: For one inference.
    """
    suffix = path.rpartition(".")[2]
    return {"xml": _openvino, "onnx": _onnxruntime, "tflite": _litert}[suffix](path, threads)


def bare(path: str, threads: int) -> Callable[[], object]:
    """The bare call of an artifact's engine on a picture that is ready."""
    run, picture = opened(path, threads), _picture(path)
    return lambda: run(picture)


def predict_proba(path: str, threads: int) -> Callable[[], object]:
    """The same through edgeferry."""
    import edgeferry

    predictor, picture = edgeferry.load(path, threads=threads), _picture(path)[0]
    return lambda: predictor.predict_proba(picture)


def _picture(path: str) -> NDArray[np.uint8]:
    from edgeferry.artifact import read_contract

    spec = read_contract(path).input
    shape = (1, spec.height, spec.width, spec.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _openvino(path: str, threads: int) -> Run:
    import openvino as ov

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = ov.Core().compile_model(path, "CPU", settings)
    output = model.output(0)
    return lambda picture: np.asarray(model(picture)[output])


def _onnxruntime(path: str, threads: int) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: np.asarray(session.run(None, {name: picture})[0])


def _litert(path: str, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    (given, *_), (told, *_) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(picture: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(given["index"], picture)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(told["index"]))

    return run
