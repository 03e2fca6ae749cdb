"""TFLite files in LiteRT (``ai-edge-litert``): the current home of the TFLite interpreter."""

from typing import Any

from edgeferry.runtimes.tflite_base import TfliteRuntime


class LitertRuntime(TfliteRuntime):
    """LiteRT's interpreter."""

    name = "litert"
    package = "ai-edge-litert"

    def _engine(self) -> Any:
        from ai_edge_litert import interpreter

        return interpreter
