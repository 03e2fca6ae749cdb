"""ONNX files in the reference evaluator of the ``onnx`` package: numpy, operator by operator."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from edgeferry.operations import CONVERSIONS, kind_of, precision_of
from edgeferry.runtimes.base import Description, Operation, Runtime

_OPSET = 21
"""The evaluator knows the quantizing operators of this version, not the older ones."""


class OnnxReferenceRuntime(Runtime):
    """What a file means by ONNX's own definition: slow, and the judge of other engines.

    It computes what QDQ files say to the letter: integers become floats before each convolution.
    """

    name = "onnx-reference"

    def _open(self) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load(self.path)
        (own,) = (each.version for each in model.opset_import if not each.domain)
        if own < _OPSET:
            model = onnx.version_converter.convert_version(model, _OPSET)
        self._nodes = list(model.graph.node)
        self._evaluator = ReferenceEvaluator(model)

    def _infer(self, images: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        names = list(self.tensor_names)
        found = self._evaluator.run(names, {self.input_name: images})
        return dict(zip(names, found, strict=True))

    def _close(self) -> None:
        del self._evaluator, self._nodes

    def _describe(self) -> Description:
        import onnx

        return Description(
            engine=self.name,
            version=onnx.__version__,
            device="numpy",
            threads=self.options.thread_count(),
            operations=tuple(self._operations()),
        )

    def _operations(self) -> Iterator[Operation]:
        """Each operator, with the type that it really computed in on a noisy picture."""
        feeds = {self.input_name: self._noise()}
        values = self._evaluator.run(None, feeds, intermediate=True)
        for node in self._nodes:
            kind = kind_of(node.op_type)
            side = node.output if kind in CONVERSIONS else node.input
            precision = precision_of(values[side[0]].dtype.name)
            yield Operation(node.name, node.op_type, kind, precision)
