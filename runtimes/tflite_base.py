"""What the three packages that carry the TFLite interpreter have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import UsageError
from edgeferry.runtimes.base import Description, Runtime
from edgeferry.runtimes.tensors import Tensors, TensorSpec
from edgeferry.runtimes.tflite_graph import ExecutedGraph


class TfliteRuntime(Runtime):
    """A TFLite interpreter; it holds one set of tensors, so one thread at a time."""

    settings: ClassVar = {"xnnpack": ("on", "off")}
    package: str
    """Distribution that the interpreter comes from."""

    @classmethod
    @abstractmethod
    def _engine(cls) -> Any:
        """Import and return what has ``Interpreter`` and ``load_delegate``."""

    def _open(self) -> None:
        engine = self._engine()
        self._interpreter = engine.Interpreter(
            model_path=str(self.path),
            num_threads=self.options.thread_count(),
            experimental_delegates=self._delegates(engine),
            experimental_op_resolver_type=self._resolver(engine),
        )
        self._interpreter.allocate_tensors()
        self._input, *_ = self._interpreter.get_input_details()
        given = self._interpreter.get_output_details()
        if self.binding is None:
            indices = (each["index"] for each in given)
            self._outputs = dict(zip(self.tensor_names, indices, strict=True))
        else:
            by_name = {each["name"]: each["index"] for each in given}
            self._outputs = {name: by_name[name] for name in self.tensor_names}
        self._shape = tuple(map(int, self._input["shape"]))

    def _delegates(self, engine: Any) -> list[Any] | None:
        library = self.options.device
        if library is None:
            return None
        if "/" in library and not Path(library).is_file():
            raise UsageError(
                f"there is no delegate library {library}",
                "For TFLite a device is the path of a delegate; leave it out for the CPU",
            )
        return [engine.load_delegate(library)]

    def _resolver(self, engine: Any) -> Any:
        """The engine's kernels, with the delegate that it applies by itself or without."""
        kinds = engine.OpResolverType
        off = self._setting("xnnpack") == "off"
        return kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if off else kinds.AUTO

    @classmethod
    def _tensors(cls, path: Path) -> Tensors:
        engine = cls._engine()
        kernels = engine.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = engine.Interpreter(str(path), experimental_op_resolver_type=kernels)
        sides = (interpreter.get_input_details(), interpreter.get_output_details())
        inputs, outputs = (tuple(map(_tensor, side)) for side in sides)
        return Tensors(inputs, outputs)

    def _infer(self, images: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        index = self._input["index"]
        if images.shape != self._shape:
            self._interpreter.resize_tensor_input(index, images.shape)
            self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(index, images)
        self._interpreter.invoke()
        read = self._interpreter.get_tensor
        return {name: read(index) for name, index in self._outputs.items()}

    def _close(self) -> None:
        del self._interpreter

    def _describe(self) -> Description:
        from importlib.metadata import version

        graph = ExecutedGraph(self._interpreter)
        operations = graph.operations()
        return Description(
            engine=self.name,
            version=version(self.package),
            device=self._device(graph.delegated(), len(operations)),
            threads=self.options.thread_count(),
            operations=operations,
        )

    def _device(self, delegated: int, total: int) -> str:
        """The delegate, and how much it does where that is not all."""
        if not delegated:
            return "cpu"
        delegate = self.options.device or "XNNPACK"
        share = f" ({delegated} of {total} operations)" if delegated < total else ""
        return delegate + share


def _tensor(details: Mapping[str, Any]) -> TensorSpec:
    sizes = (int(size) if size > 0 else None for size in details["shape_signature"])
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"]).name
    return TensorSpec(details["name"], dtype, tuple(sizes), float(scale), int(zero_point))
