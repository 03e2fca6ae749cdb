"""The formats that edgeferry can export."""

from edgeferry.registry import Entry, Registry

EXPORTERS = Registry(
    "format",
    "edgeferry.exporters",
    {
        "tflite": Entry(
            "edgeferry.exporters.tflite_exporter:TFLiteExporter",
            requires=("tensorflow", "litert_quantizer", "ai_edge_litert"),
            extra="export",
            formats=("tflite",),
        ),
        "onnx": Entry(
            "edgeferry.exporters.onnx_exporter:OnnxExporter",
            requires=("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
            extra="export",
            formats=("onnx",),
        ),
        "openvino": Entry(
            "edgeferry.exporters.openvino_exporter:OpenVinoExporter",
            requires=("tensorflow", "openvino", "nncf"),
            extra="export",
            formats=("openvino",),
        ),
    },
)
