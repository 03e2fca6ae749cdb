"""What the three packages that carry the TFLite interpreter have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.errors import UsageError
from edgeferry.runtimes.base import Description, Operation, Runtime
from edgeferry.runtimes.operations import CONVERSIONS, kind_of, precision_of


class TfliteRuntime(Runtime):
    """A TFLite interpreter; it holds one set of tensors, so one thread at a time."""

    package: str
    """Distribution that the interpreter comes from."""

    @abstractmethod
    def _engine(self) -> Any:
        """Import and return what has ``Interpreter`` and ``load_delegate``."""

    def _open(self) -> None:
        engine = self._engine()
        self._interpreter = engine.Interpreter(
            model_path=str(self.path),
            num_threads=self.options.thread_count(),
            experimental_delegates=self._delegates(engine),
        )
        self._interpreter.allocate_tensors()
        self._input, *_ = self._interpreter.get_input_details()
        self._output, *_ = self._interpreter.get_output_details()
        self._batch = int(self._input["shape"][0])

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

    def _infer(self, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        index = self._input["index"]
        if len(images) != self._batch:
            self._interpreter.resize_tensor_input(index, images.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(images)
        self._interpreter.set_tensor(index, images)
        self._interpreter.invoke()
        return {self.contract.output_name: self._interpreter.get_tensor(self._output["index"])}

    def _close(self) -> None:
        del self._interpreter

    def _describe(self) -> Description:
        from importlib.metadata import version

        nodes = self._interpreter._get_ops_details()
        names = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        return Description(
            engine=self.name,
            version=version(self.package),
            device=self._device(nodes),
            threads=self.options.thread_count(),
            operations=tuple(_operations(nodes, names, int(self._input["index"]))),
        )

    def _device(self, nodes: Iterable[Mapping[str, Any]]) -> str:
        delegated = any(node["op_name"] == "DELEGATE" for node in nodes)
        return (self.options.device or "XNNPACK") if delegated else "cpu"


def _operations(
    nodes: list[Mapping[str, Any]], tensors: Mapping[int, Mapping[str, Any]], source: int
) -> Iterable[Operation]:
    """What is executed on the way from input to output.

    A delegate's node stands beside those that it took over: it is left out. So is what
    depends on constants only, like fp16 weights made float: it is done once, on loading.
    """
    live = {source}
    for node in nodes:
        inputs, outputs = (list(map(int, node[side])) for side in ("inputs", "outputs"))
        if node["op_name"] == "DELEGATE" or live.isdisjoint(inputs):
            continue
        live.update(outputs)
        kind = kind_of(node["op_name"])
        tensor = outputs[0] if kind in CONVERSIONS else next(i for i in inputs if i in live)
        yield Operation(
            name=str(tensors[outputs[0]]["name"]),
            type=node["op_name"],
            kind=kind,
            precision=precision_of(np.dtype(tensors[tensor]["dtype"]).name),
        )
