"""Memory and time of entropy calibration on 64 pictures: edgeferry's, and onnxruntime's own.

Both read the same float ONNX model and the same pictures, each in a fresh process: its peak since
the first picture, minus what it held right before it (Linux only), and the time since then.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from calibration_memory import WatchedPictures, arguments, calibrate, in_process, prepare
from numpy.typing import NDArray

from edgeferry.contract import INPUT_NAME
from edgeferry.exporters.base import PreparedSource

COUNT = 64


def peer(folder: Path, pictures: Path) -> str:
    """Calibrate as ``onnxruntime.quantization.quantize_static`` does; tell what that took."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the pictures one by one."""

        def __init__(self, pictures: Iterator[NDArray[np.uint8]]) -> None:
            self._pictures = pictures

        def get_next(self) -> dict[str, Any] | None:
            """The next input of the model; None after the last."""
            picture = next(self._pictures, None)
            return None if picture is None else {INPUT_NAME: picture}

    watched = WatchedPictures(pictures)
    calibrator = create_calibrator(
        float_model(folder),
        sorted({*QDQRegistry, *QLinearOpsRegistry}),
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=CalibrationMethod.Entropy,
    )
    calibrator.collect_data(Reader(iter(watched)))
    calibrator.compute_data()
    return watched.taken()


def float_model(folder: Path) -> Path:
    """The ONNX model that edgeferry's exporter calibrates."""
    import onnx

    from edgeferry.exporters.onnx_exporter import OnnxExporter

    path = folder / "float.onnx"
    onnx.save(OnnxExporter(PreparedSource.load(folder / "prepared.json")).prepare(), path)
    return path


def main() -> None:
    """Print both figures and their ratio."""
    options = arguments(__doc__).parse_args()
    if options.cell:
        who, folder, pictures = options.cell
        own = who == "edgeferry"
        paths = Path(folder), Path(pictures)
        print(calibrate("onnx", "entropy", *paths) if own else peer(*paths))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = str(prepare(options, Path(folder), (COUNT,))[COUNT])
        own, other = (
            in_process(__file__, (who, folder, store)) for who in ("edgeferry", "onnxruntime")
        )
    for unit, ours, theirs in zip(("MB", "ms a picture"), own, other, strict=True):
        print(f"{unit}: edgeferry {ours:.0f}, onnxruntime {theirs:.0f}, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
