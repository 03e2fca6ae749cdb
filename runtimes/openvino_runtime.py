"""OpenVINO and ONNX files in OpenVINO."""

import platform
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import EngineError, UsageError
from edgeferry.operations import WEIGHTED_KINDS, kind_of, multiply_accumulates, precision_of
from edgeferry.runtimes.base import Description, Operation, Runtime
from edgeferry.runtimes.compiled import compiled_folder, kept_whole
from edgeferry.runtimes.layer_times import WARM_UP, LayerTime, medians
from edgeferry.runtimes.tensors import Tensors, TensorSpec

_MICROSECOND = timedelta(microseconds=1)
_ARM = ("aarch64", "arm64")
_VIRTUAL_DEVICES = ("AUTO", "BATCH", "HETERO", "MULTI")


class OpenvinoRuntime(Runtime):
    """A compiled OpenVINO model, with an inference request of its own for each thread."""

    name = "openvino"
    thread_safe = True
    forks = False  # TBB's threads: it waits for those of the parent (2026.4.1)
    settings: ClassVar = {"pinning": ("auto", "on", "off")}
    profiler = "OpenVINO's performance counters (PERF_COUNT), layer by layer"

    def _open(self) -> None:
        import openvino as ov

        core = ov.Core()
        self._device = self._checked_device(core.available_devices)
        self._names = self.tensor_names
        if self.options.cache is None:
            self._compiled = self._compile(core, self._settings())
        else:
            engine, told = f"{self.name} {ov.__version__}", self.contract.integrity
            folder = compiled_folder(self.options.cache, self.path, engine, integrity=told)
            with kept_whole(folder) as kept:
                core.set_property({"CACHE_DIR": kept})
                self._compiled = self._compile(core, self._settings())
        self._requests = threading.local()
        # The bindings' table of types is made on its first use; two threads that come at once
        # then may wait for each other for good (2026.4.1).
        assert ov.Tensor(np.zeros(1, np.uint8)).data.size

    def _infer(self, images: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        try:
            request = self._requests.own
        except AttributeError:
            request = self._requests.own = self._compiled.create_infer_request()
        request.infer({self.input_name: np.ascontiguousarray(images)}, share_inputs=True)
        return {name: request.get_tensor(name).data.copy() for name in self._names}

    def _close(self) -> None:
        del self._requests, self._compiled

    def _compile(self, core: Any, settings: Mapping[str, Any]) -> Any:
        """Compile; int8 as float on ARM processors for which OpenVINO has no int8 kernels.

        Without dot products (Cortex-A53, Cortex-A72) it refuses some int8 convolutions outright
        (2026.4.1: "object is not initialized").
        """
        try:
            return core.compile_model(self.path, self._device, settings)
        except RuntimeError:
            if platform.machine() not in _ARM:
                raise
            as_float = {**settings, "LP_TRANSFORMS_MODE": False}
            return core.compile_model(self.path, self._device, as_float)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self._device == "CPU":
            streams = self.options.streams
            threads = streams * self.options.thread_count()
            settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
        if (pinning := self._setting("pinning")) != "auto":
            settings["ENABLE_CPU_PINNING"] = pinning == "on"
        if self.options.execution == "float32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        return settings

    def _checked_device(self, available: list[str]) -> str:
        if not available:
            raise EngineError(
                "OpenVINO finds no device here, not even the processor",
                "Its plug-ins cannot be loaded: memory is short, or its installation damaged",
            )
        device = self.options.device or "CPU"
        family = device.split(":")[0].split(".")[0]
        if family not in {name.split(".")[0] for name in available} | set(_VIRTUAL_DEVICES):
            raise UsageError(
                f"OpenVINO has no device {device!r} here; it has: {', '.join(available)}"
            )
        return device

    @classmethod
    def _tensors(cls, path: Path) -> Tensors:
        import openvino as ov

        model = ov.Core().read_model(path)
        return Tensors(tuple(map(_tensor, model.inputs)), tuple(map(_tensor, model.outputs)))

    def _describe(self) -> Description:
        import openvino as ov

        on_cpu = self._device == "CPU"
        return Description(
            engine=self.name,
            version=ov.__version__.split("-")[0],
            device=",".join(self._compiled.get_property("EXECUTION_DEVICES")),
            threads=int(self._compiled.get_property("INFERENCE_NUM_THREADS")) if on_cpu else 0,
            operations=tuple(each for each, _, _ in self._executed(self._compiled)),
        )

    def _profile_layers(self, images: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """Run a model of its own, since counting takes time and cannot be turned on later."""
        import openvino as ov

        compiled = self._compile(ov.Core(), {**self._settings(), "PERF_COUNT": True})
        request = compiled.create_infer_request()
        layers = list(self._executed(compiled))
        inferences = []
        for _ in range(WARM_UP + runs):
            request.infer({self.input_name: images}, share_inputs=True)
            took = {each.node_name: each.real_time for each in request.profiling_info}
            inferences.append([took[op.name] / _MICROSECOND for op, _, _ in layers])
        times = medians(inferences[WARM_UP:])
        return tuple(
            LayerTime(
                op.name, op.type, op.kind, op.precision, time, originals, _products(op.kind, node)
            )
            for (op, originals, node), time in zip(layers, times, strict=True)
        )

    def _executed(self, compiled: Any) -> Iterator[tuple[Operation, tuple[str, ...], Any]]:
        """The layers of a compiled model, what they were made from, and their nodes."""
        import openvino as ov

        kinds = dict(_original_kinds(ov.Core().read_model(self.path)))
        for node, facts in _executed(compiled.get_runtime_model()):
            originals = tuple(filter(None, facts["originalLayersNames"].split(",")))
            found = [kinds[name] for name in originals if name in kinds]
            kind = _executed_kind(facts["layerType"], found)
            operation = Operation(
                name=node.get_friendly_name(),
                type=facts["layerType"],
                kind=kind,
                precision=_executed_precision(facts),
                fused=_without_first(found, kind),
            )
            yield operation, originals, node


def _tensor(port: Any) -> TensorSpec:
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        raise EngineError(f"{port.any_name} has any number of axes")
    sizes = (size.get_length() if size.is_static else None for size in shape)
    return TensorSpec(port.any_name, port.element_type.to_dtype().name, tuple(sizes))


def _executed(graph: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """The layers on the way from input to output; what hangs on constants runs on loading."""
    live: set[str] = set()
    for node in graph.get_ordered_ops():
        facts = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        sources = {value.get_node().get_friendly_name() for value in node.input_values()}
        if facts["layerType"] != "Input" and live.isdisjoint(sources):
            continue
        live.add(node.get_friendly_name())
        if facts["layerType"] not in ("Input", "Output"):
            yield node, facts


def _executed_precision(facts: Mapping[str, str]) -> str:
    """The kernel's type; the runtime precision beside it is f16 where only the weights are."""
    kernel = precision_of(facts["primitiveType"].rpartition("_")[2])
    return precision_of(facts["runtimePrecision"]) if kernel == "other" else kernel


def _products(kind: str, node: Any) -> int | None:
    """Multiply-accumulates of an executed layer; None where it has no weights or shapes vary."""
    if kind not in WEIGHTED_KINDS or len(node.inputs()) < 2:
        return None
    kernel, output = node.input(1).get_partial_shape(), node.output(0).get_partial_shape()
    is_constant = node.input_value(1).get_node().get_rt_info()["layerType"].astype(str) == "Const"
    if not is_constant or kernel.is_dynamic or output.is_dynamic:
        return None
    channel_axis = -1 if kind == "MatMul" else 1
    return multiply_accumulates(list(kernel.to_shape()), list(output.to_shape()), channel_axis)


def _executed_kind(layer: str, found: list[str]) -> str:
    """The kind of an executed layer; the general ones are told by what they were made from."""
    generic = layer in ("Eltwise", "Subgraph", "Reduce", "Math")
    return found[0] if generic and found else kind_of(layer)


def _without_first(kinds: list[str], kind: str) -> tuple[str, ...]:
    """What else was fused, but for rescaling and biases, which are parts of the main one."""
    rest = list(kinds)
    if kind in rest:
        rest.remove(kind)
    return tuple(each for each in rest if each in ("Add", "Relu", "Sigmoid", "Pool", "MatMul"))


def _original_kinds(model: Any) -> Iterator[tuple[str, str]]:
    """Kinds of the model's own operations by name; adding a constant or a vector is a ``Bias``."""
    constants: set[str] = set()
    for node in model.get_ordered_ops():
        name, inputs = node.get_friendly_name(), node.input_values()
        fed = [value.get_node().get_friendly_name() in constants for value in inputs]
        if node.get_type_name() == "Constant" or (fed and all(fed)):
            constants.add(name)
            continue
        kind = kind_of(node.get_type_name())
        alike = len({str(value.get_partial_shape()) for value in inputs}) == 1
        yield name, "Bias" if kind == "Add" and (any(fed) or not alike) else kind
