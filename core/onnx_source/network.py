"""An ONNX file, opened: what it takes and gives, and how it is run by TensorFlow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeferry.errors import SourceError
from edgeferry.onnx_source.operators import operators
from edgeferry.onnx_source.values import Array, Call, Tensor, Value

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_OLDEST = 7
"""Before this opset, operators broadcast by rules of their own."""
_COLORS = (1, 3)


class OnnxNetwork:
    """An ONNX graph, run by TensorFlow operations.

    Pictures go in as ``[N, height, width, channels]``, whatever the graph's layout is, and
    outputs of rank 4 of a graph that is channels-first come out channels-last too.

    Args:
        model: The graph with its weights.
        path: The file it is from, for errors.

    Raises:
        SourceError: If it takes no pictures, or holds operators that cannot be taken over.
    """

    def __init__(self, model: ModelProto, path: Path) -> None:
        self._model = _inlined(model, path)
        self._opset = _opset(self._model, path)
        self._known = operators()
        self._constants = dict(_constants(self._model))
        self._refuse_unknown(path)
        self._nodes = list(self._not_constant())
        graph = self._model.graph
        taken = [value for value in graph.input if value.name not in self._constants]
        if len(taken) != 1:
            listed = ", ".join(value.name for value in taken)
            raise SourceError(
                f"{path} has {len(taken)} inputs ({listed}): one is expected, the picture"
            )
        self._input = taken[0].name
        self.shape, self._channels_first = _picture_shape(path, taken[0])
        self.output_names = tuple(_clean(value.name) for value in graph.output)

    def __call__(self, images: Any) -> list[Any]:
        """Map a float32 tensor ``[N, height, width, channels]`` to the outputs."""
        values: dict[str, Value] = dict(self._constants)
        values[self._input] = self.picture(images)
        for node in self._nodes:
            self._run(node, values)
        return [self._given(values[value.name]) for value in self._model.graph.output]

    def picture(self, images: Any) -> Tensor:
        """Pictures ``[N, height, width, channels]`` as the graph's input."""
        import tensorflow as tf

        return Tensor(tf.convert_to_tensor(images), self._channels_first)

    def digest(self) -> str:
        """SHA-256 of operators and weights, hexadecimal: the same wherever it lies."""
        digest = hashlib.sha256(f"opset {self._opset}\n".encode())
        for node in self._model.graph.node:
            told = sorted(node.attribute, key=lambda each: each.name)
            digest.update(f"{node.op_type} {list(node.input)} {list(node.output)}\n".encode())
            for attribute in told:
                attribute.doc_string = ""
                digest.update(attribute.SerializeToString(deterministic=True))
        for name, value in sorted(self._constants.items()):
            digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def _run(self, node: NodeProto, values: dict[str, Value]) -> None:
        import tensorflow as tf

        call = self._call(node, values)
        if not any(isinstance(value, Tensor) for value in call.inputs):
            found: list[Value] = list(_evaluated(node, call, self._opset))
        else:
            with tf.name_scope(_scope(node)):
                found = list(self._known[node.op_type](call))
        for name, value in zip(node.output, found, strict=False):
            values[name] = value

    def _not_constant(self) -> Iterator[NodeProto]:
        """The nodes that depend on the picture; what the others give is computed once."""
        for node in self._model.graph.node:
            if all(not name or name in self._constants for name in node.input):
                call = self._call(node, self._constants)
                found = _evaluated(node, call, self._opset)
                names = (name for name in node.output if name)
                self._constants |= dict(zip(names, found, strict=True))
            else:
                yield node

    def _call(self, node: NodeProto, values: Mapping[str, Value]) -> Call:
        import onnx

        return Call(
            kind=node.op_type,
            name=node.name or node.output[0],
            inputs=[values[name] if name else None for name in node.input],
            attributes={
                each.name: onnx.helper.get_attribute_value(each) for each in node.attribute
            },
            opset=self._opset,
            outputs=len([name for name in node.output if name]),
        )

    def _given(self, value: Value) -> Any:
        import tensorflow as tf

        if not isinstance(value, Tensor):
            return tf.constant(value)
        return value.last() if self._channels_first and value.rank == 4 else value.first()

    def _refuse_unknown(self, path: Path) -> None:
        """Name every operator that is missing before any work is done."""
        computed, missing = {""}, dict[str, str]()
        for node in self._model.graph.node:
            if all(name in self._constants or name in computed for name in node.input):
                computed.update(node.output)
            elif node.op_type not in self._known or node.domain not in ("", "ai.onnx"):
                kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
                missing.setdefault(kind, node.name or node.output[0])
        if missing:
            listed = ", ".join(f"{kind} (node {name})" for kind, name in missing.items())
            raise SourceError(
                f"{path} holds operators that cannot be taken over, opset {self._opset}: {listed}"
            )


def read_onnx(path: Path) -> ModelProto:
    """Read an ONNX file; weights may lie in files beside it.

    Raises:
        SourceError: If it is damaged.
    """
    import onnx

    try:
        return onnx.load(path)
    except Exception as error:
        raise _damaged(path, error) from error


def _inlined(model: ModelProto, path: Path) -> ModelProto:
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model) if model.functions else model
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
    return SourceError(f"{path} is damaged, or no ONNX model: {reason}")


def _opset(model: ModelProto, path: Path) -> int:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if not versions or not model.graph.node:
        raise SourceError(f"{path} is damaged, or no ONNX model: it has no operators")
    newest = int(max(versions))
    if newest < _OLDEST:
        raise SourceError(
            f"{path} is of opset {newest}; {_OLDEST} is the oldest that is read",
            "Convert it: onnx.version_converter",
        )
    return newest


def _constants(model: ModelProto) -> Iterator[tuple[str, Array]]:
    from onnx import numpy_helper

    for value in model.graph.initializer:
        yield value.name, numpy_helper.to_array(value)


def _evaluated(node: NodeProto, call: Call, opset: int) -> list[Array]:
    """An operator on constants only, computed by ONNX's own reference."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    given = {name: value for name, value in zip(node.input, call.inputs, strict=True) if name}
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), None
        )
        for name, value in given.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        found = ReferenceEvaluator(model).run(None, given)
    except Exception as error:
        raise call.refuse(f"its constants cannot be computed: {error}") from error
    return [np.asarray(each) for each in found]


def _picture_shape(path: Path, value: Any) -> tuple[tuple[int | None, ...], bool]:
    """The shape ``(N, height, width, channels)``, and whether the graph has channels first."""
    import onnx

    kind = value.type.tensor_type
    sizes = [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]
    if kind.elem_type != onnx.TensorProto.FLOAT or len(sizes) != 4:
        name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise SourceError(f"{path} takes {name} {sizes}, not float32 pictures of rank 4")
    sizes = [size or None for size in sizes]
    if sizes[1] in _COLORS:
        return (sizes[0], sizes[2], sizes[3], sizes[1]), True
    if sizes[3] in _COLORS:
        return tuple(sizes), False
    raise SourceError(f"{path} takes {sizes}: neither axis 1 nor axis 3 is 1 or 3 colors")


def _scope(node: NodeProto) -> str:
    """The node's name as TensorFlow takes it for a scope."""
    return _clean(node.name or node.output[0])


def _clean(name: str) -> str:
    parts = (re.sub(r"[^A-Za-z0-9_.-]", "_", each) for each in name.split("/") if each)
    clean = "/".join(parts) or "node"
    return clean if clean[0].isalnum() else f"n{clean}"
