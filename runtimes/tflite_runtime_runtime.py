"""TFLite files in ``tflite-runtime``: the older package, for boards that have no newer one."""

from typing import Any

from edgeferry.runtimes.tflite_base import TfliteRuntime


class TfliteRuntimeRuntime(TfliteRuntime):
    """The interpreter of the ``tflite-runtime`` package."""

    name = "tflite-runtime"
    package = "tflite-runtime"

    @classmethod
    def _engine(cls) -> Any:
        from tflite_runtime import interpreter

        return interpreter
