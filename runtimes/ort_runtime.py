"""ONNX files in ONNX Runtime."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgeferry.errors import UsageError
from edgeferry.files import atomic_path
from edgeferry.operations import CONVERSIONS, kind_of, precision_of
from edgeferry.runtimes.base import Description, Operation, Runtime
from edgeferry.runtimes.compiled import compiled_folder, kept_whole
from edgeferry.runtimes.layer_times import WARM_UP, LayerTime, medians
from edgeferry.runtimes.ort_arena import share_arena
from edgeferry.runtimes.tensors import Tensors, TensorSpec

_CPU = "CPUExecutionProvider"
_QUIET = 3  # errors only


class OrtRuntime(Runtime):
    """An ONNX Runtime session; its ``run`` is safe to call from several threads."""

    name = "onnxruntime"
    thread_safe = True
    settings: ClassVar = {"spinning": ("on", "off")}
    profiler = "ONNX Runtime's session profiler, node by node"

    def _open(self) -> None:
        import onnxruntime as ort

        self._names = list(self.tensor_names)
        cache = self.options.cache
        if cache is not None and self._is_on_cpu():  # others cannot all write what they optimized
            engine, told = f"{self.name} {ort.__version__}", self.contract.integrity
            with kept_whole(compiled_folder(cache, self.path, engine, integrity=told)) as kept:
                self._session = self._cached(kept / "optimized.onnx")
        else:
            self._session = self._new_session(self._session_options())

    def _infer(self, images: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        names = self._names
        return dict(zip(names, self._session.run(names, {self.input_name: images}), strict=True))

    def _close(self) -> None:
        del self._session

    @classmethod
    def _tensors(cls, path: Path) -> Tensors:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = _QUIET
        session = ort.InferenceSession(str(path), options, [_CPU], enable_fallback=0)
        sides = (session.get_inputs(), session.get_outputs())
        inputs, outputs = (tuple(map(_tensor, side)) for side in sides)
        return Tensors(inputs, outputs)

    def _describe(self) -> Description:
        import onnxruntime as ort

        return Description(
            engine=self.name,
            version=ort.__version__,
            device=self._session.get_providers()[0],
            threads=self._session.get_session_options().intra_op_num_threads,
            operations=tuple(_operations(self._recorded(self._noise(), 1)[0])),
        )

    def _profile_layers(self, images: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        inferences = self._recorded(images, WARM_UP + runs)[WARM_UP:]
        times = medians([[event["dur"] for event in events] for events in inferences])
        return tuple(
            LayerTime(each.name, each.type, each.kind, each.precision, time)
            for each, time in zip(_operations(inferences[0]), times, strict=True)
        )

    def _session_options(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = self.options.thread_count()
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _QUIET
        if self._is_on_cpu():
            share_arena(options)
        if self._setting("spinning") == "off":
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _new_session(self, options: Any, path: Path | None = None) -> Any:
        import onnxruntime as ort

        providers, model = self._providers(), str(path or self.path)
        # Its own fallback would print, and run something else than was asked for.
        return ort.InferenceSession(model, options, providers, enable_fallback=0)

    def _cached(self, kept: Path) -> Any:
        """Open the optimized model that was kept; keep it where there is none, or a damaged one."""
        import onnxruntime as ort

        if kept.exists():
            options = self._session_options()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            with suppress(Exception):
                return self._new_session(options, kept)
        options = self._session_options()
        with suppress(Exception), atomic_path(kept) as unfinished:  # the disk may be full
            options.optimized_model_filepath = str(unfinished)
            return self._new_session(options)
        return self._new_session(self._session_options())

    def _is_on_cpu(self) -> bool:
        return self._providers() == [_CPU]

    def _providers(self) -> list[str]:
        import onnxruntime as ort

        wanted, available = self.options.device or _CPU, ort.get_available_providers()
        if wanted not in available:
            raise UsageError(
                f"ONNX Runtime has no execution provider {wanted!r} here; "
                f"it has: {', '.join(available)}"
            )
        return [wanted] if wanted == _CPU else [wanted, _CPU]

    def _recorded(self, images: NDArray[Any], runs: int) -> list[list[dict[str, Any]]]:
        """What is executed, by inference, in a session of its own that records it."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            options = self._session_options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = self._new_session(options)
            for _ in range(runs):
                session.run(None, {self.input_name: images})
            events = json.loads(Path(session.end_profiling()).read_text())
        nodes = [each for each in events if each["cat"] == "Node" and "op_name" in each["args"]]
        count, left = divmod(len(nodes), runs)
        if left:
            raise ValueError("the profiler left out some nodes")
        return [nodes[at : at + count] for at in range(0, len(nodes), count)]


def _tensor(value: Any) -> TensorSpec:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    sizes = (size if isinstance(size, int) and size > 0 else None for size in value.shape)
    return TensorSpec(value.name, dtype, tuple(sizes))


def _operations(events: list[dict[str, Any]]) -> Iterator[Operation]:
    for event in events:
        facts = event["args"]
        kind = kind_of(facts["op_name"])
        side = "output_type_shape" if kind in CONVERSIONS else "input_type_shape"
        data_type = next((name for value in facts[side] for name in value), "")
        yield Operation(
            name=event["name"].removesuffix("_kernel_time"),
            type=facts["op_name"],
            kind=kind,
            precision=precision_of(data_type),
            fused=("Add",) if _adds_a_tensor(facts) else (),
        )


def _adds_a_tensor(facts: Mapping[str, Any]) -> bool:
    """Whether a convolution has a further picture as input (its bias has one dimension)."""
    if facts["op_name"] not in ("Conv", "FusedConv", "NhwcFusedConv"):
        return False
    shapes = [shape for value in facts["input_type_shape"] for shape in value.values()]
    return any(len(shape) > 1 for shape in shapes[2:])
