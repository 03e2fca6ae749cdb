"""The operations of an artifact's file, of any format and precision."""

from __future__ import annotations

from pathlib import Path

from edgeferry.errors import ArtifactError
from edgeferry.exporters.network import Network
from edgeferry.integrity import check_file


def artifact_network(path: Path, format: str) -> Network:
    """Read an artifact's file as a network, with the multiply-accumulates of its layers.

    Args:
        path: The file.
        format: Its format.

    Raises:
        ArtifactError: If it was changed since it was exported, or cannot be read.
        ImportError: If the package that reads the format is not installed, or there is none.
    """
    check_file(path)
    try:
        return _read(path, format)
    except ImportError:
        raise
    except Exception as error:  # readers of damaged files fail in many ways
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        raise ArtifactError(f"the operations of {path} cannot be read: {first_line}") from error


def _read(path: Path, format: str) -> Network:
    if format == "onnx":
        import onnx

        from edgeferry.exporters.onnx_network import onnx_network

        return onnx_network(onnx.shape_inference.infer_shapes(onnx.load(path)))
    if format == "openvino":
        import openvino

        from edgeferry.exporters.openvino_network import openvino_network

        return openvino_network(openvino.Core().read_model(path))
    if format != "tflite":
        raise ImportError(f"nothing reads the operations of {format} files")
    from edgeferry.exporters.tflite_network import tflite_network

    return tflite_network(path.read_bytes())
