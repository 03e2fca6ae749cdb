"""TFLite files in LiteRT (``ai-edge-litert``): the current home of the TFLite interpreter."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgeferry.errors import EngineError
from edgeferry.runtimes.layer_times import WARM_UP, LayerTime, medians
from edgeferry.runtimes.tflite_base import TfliteRuntime
from edgeferry.runtimes.tflite_graph import ExecutedGraph


class LitertRuntime(TfliteRuntime):
    """LiteRT's interpreter."""

    name = "litert"
    package = "ai-edge-litert"
    profiler = "LiteRT's profiler, kernel by kernel inside XNNPACK, of a CompiledModel beside it"

    @classmethod
    def _engine(cls) -> Any:
        from ai_edge_litert import interpreter

        return interpreter

    def _profile_layers(self, images: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        import ai_edge_litert

        from edgeferry.runtimes.litert_profiler import ProfiledModel
        from edgeferry.runtimes.tflite_layers import layer_times

        if self.options.device is not None:
            raise EngineError(f"LiteRT tells no times inside {self.options.device}")
        library = Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
        threads, xnnpack = self.options.thread_count(), self._setting("xnnpack") == "on"
        with ProfiledModel(library, self.path, threads, xnnpack) as model:
            model.set_input(images)
            inferences = [model.run() for _ in range(WARM_UP + runs)][WARM_UP:]
        times = medians([[each.microseconds for each in kernels] for kernels in inferences])
        tags = [kernel.tag for kernel in inferences[0]]
        return layer_times(tags, times, ExecutedGraph(self._interpreter).operations())
