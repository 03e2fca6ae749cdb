"""What the entry points in ``pyproject.toml`` name; importing it loads nothing else."""

from edgeferry.registry import Entry

_PACKAGE = "edgeferry_example_plugin"

ENGINE = Entry(
    f"{_PACKAGE}.onnx_reference:OnnxReferenceRuntime",
    requires=("onnx",),
    formats=("onnxjson", "onnx"),  # unasked it runs the first only: ONNX Runtime is faster
)
FORMAT = Entry(
    f"{_PACKAGE}.onnx_json:OnnxJsonExporter",
    requires=("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
    extra="export",
    formats=("onnxjson",),
    suffixes=(".onnxjson",),
    reader=f"{_PACKAGE}.onnx_json:read_contract",
)
TRANSPORT = Entry(f"{_PACKAGE}.cores_device:CoresDevice")
