"""What the vendors' own documentation has one write to export and quantize a Keras network.

Each format is a script of its own: ``python benchmarks/vendors.py FORMAT JOB.json``. Documentation
followed: ai.google.dev/edge/litert "Post-training quantization", onnxruntime.ai "Quantize ONNX
models", docs.openvino.ai "Basic quantization flow".
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usual import to_float

Job = Mapping[str, Any]


def pictures(job: Job) -> Iterator[NDArray[np.float32]]:
    """The calibration pictures as the network takes them."""
    for path in job["pictures"]:
        yield to_float(path, job["side"], job["preprocessing"])


def saved_model(job: Job) -> str:
    """The network as a SavedModel, with a batch of one."""
    import keras

    folder = str(Path(job["folder"]) / "saved_model")
    keras.models.load_model(job["model"], compile=False).export(folder, verbose=False)
    return folder


def tflite(job: Job) -> None:
    """TFLiteConverter: float, float16, and int8 with float input and output."""
    import tensorflow as tf

    source, folder = saved_model(job), Path(job["folder"])

    def converter() -> Any:
        return tf.lite.TFLiteConverter.from_saved_model(source)

    (folder / "fp32.tflite").write_bytes(converter().convert())
    half = converter()
    half.optimizations = [tf.lite.Optimize.DEFAULT]
    half.target_spec.supported_types = [tf.float16]
    (folder / "fp16.tflite").write_bytes(half.convert())
    integer = converter()
    integer.optimizations = [tf.lite.Optimize.DEFAULT]
    integer.representative_dataset = lambda: ([each] for each in pictures(job))
    (folder / "int8.tflite").write_bytes(integer.convert())


def onnx(job: Job) -> None:
    """tf2onnx, and onnxruntime's static quantization: as it comes, and with its best options."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from onnxruntime.transformers.float16 import convert_float_to_float16

    folder = Path(job["folder"])
    fp32, prepared = str(folder / "fp32.onnx"), str(folder / "prepared.onnx")
    convert = [sys.executable, "-m", "tf2onnx.convert", "--opset", "17", "--output", fp32]
    subprocess.run([*convert, "--saved-model", saved_model(job)], check=True)
    name = onnx.load(fp32).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._pictures = pictures(job)

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self._pictures, None)
            return None if picture is None else {name: picture}

    onnx.save(convert_float_to_float16(onnx.load(fp32), keep_io_types=True), folder / "fp16.onnx")
    quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
    if job.get("all", True):
        quantize_static(prepared, str(folder / "int8.onnx"), Reader())
    quantize_static(
        prepared,
        str(folder / "int8-best.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def openvino(job: Job) -> None:
    """OpenVINO's converter and NNCF's quantization as it comes."""
    import nncf
    import openvino as ov

    folder, side = Path(job["folder"]), job["side"]
    model = ov.convert_model(saved_model(job), input=[1, side, side, 3])
    ov.save_model(model, folder / "fp32.xml", compress_to_fp16=False)
    ov.save_model(model, folder / "fp16.xml")
    quantized = nncf.quantize(model, nncf.Dataset(list(pictures(job))))
    ov.save_model(quantized, folder / "int8.xml")


def main() -> None:
    """Do one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=("tflite", "onnx", "openvino"))
    parser.add_argument("job", type=Path)
    options = parser.parse_args()
    {"tflite": tflite, "onnx": onnx, "openvino": openvino}[options.format](
        json.loads(options.job.read_text())
    )


if __name__ == "__main__":
    main()
