"""What a TFLite interpreter executes, read off the nodes it lists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeferry.operations import CONVERSIONS, kind_of, precision_of
from edgeferry.runtimes.base import Operation


@dataclass(frozen=True)
class Node:
    """One node; ``inputs`` and ``outputs`` are numbers of tensors."""

    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class ExecutedGraph:
    """The nodes on the way from the input to the output.

    A delegate's own node stands beside those it took over, and is not counted itself. Nor is
    what depends on constants only, like fp16 weights made float: it is done once, on loading.

    Args:
        interpreter: A TFLite interpreter with its tensors allocated.
    """

    def __init__(self, interpreter: Any) -> None:
        listed = [_node(details) for details in interpreter._get_ops_details()]
        self._tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
        self._live = {int(each["index"]) for each in interpreter.get_input_details()}
        self._delegates = [node for node in listed if node.type == "DELEGATE"]
        self._nodes = list(self._reached(listed))

    def operations(self) -> tuple[Operation, ...]:
        """The nodes in common terms."""
        return tuple(map(self._operation, self._nodes))

    def delegated(self) -> int:
        """How many of the nodes a delegate took over."""
        return len(_taken_over(self._nodes, self._delegates))

    def _reached(self, listed: Sequence[Node]) -> Iterator[Node]:
        for node in listed:
            if node.type != "DELEGATE" and not self._live.isdisjoint(node.inputs):
                self._live.update(node.outputs)
                yield node

    def _operation(self, node: Node) -> Operation:
        kind = kind_of(node.type)
        data = next(tensor for tensor in node.inputs if tensor in self._live)
        tensor = self._tensors[node.outputs[0] if kind in CONVERSIONS else data]
        return Operation(
            name=str(self._tensors[node.outputs[0]]["name"]),
            type=node.type,
            kind=kind,
            precision=precision_of(np.dtype(tensor["dtype"]).name),
        )


def _node(details: Mapping[str, Any]) -> Node:
    inputs, outputs = (tuple(map(int, details[side])) for side in ("inputs", "outputs"))
    return Node(details["op_name"], inputs, outputs)


def _taken_over(nodes: Sequence[Node], delegates: Sequence[Node]) -> set[Node]:
    """The nodes between a delegate's outputs and its inputs, walked backwards."""
    makers = {tensor: node for node in nodes for tensor in node.outputs}
    taken: set[Node] = set()
    for delegate in delegates:
        pending = list(delegate.outputs)
        while pending:
            maker = makers.get(pending.pop())
            if maker is not None and maker not in taken:
                taken.add(maker)
                pending.extend(set(maker.inputs) - set(delegate.inputs))
    return taken
