"""The last activation of a classifier: read from the graph or the answers, or told by the user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeferry.contract import Head, InputSpec, Preprocessing
from edgeferry.errors import UsageError
from edgeferry.exporters.graph import Graph, node_name
from edgeferry.preprocessing import preprocess
from edgeferry.trained_model import TrainedModel

HEADS = ("logits", "softmax", "sigmoid")
_ACTIVATIONS: dict[str, Head] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_RESHAPES = frozenset({"Reshape", "Squeeze"})


@dataclass(frozen=True)
class HeadCut:
    """Where the scores come out and what turns them into probabilities.

    Attributes:
        tensor: Name of the node whose values the activation takes.
        kind: What the probabilities are.
        activate: Whether the activation has to be put on ``tensor``; not where the model holds
            it in a form of its own.
    """

    tensor: str
    kind: Head
    activate: bool


def find_head(
    graph: Graph,
    trained: TrainedModel,
    spec: InputSpec,
    preprocessing: Preprocessing,
    told: str | None,
) -> HeadCut:
    """Find the scores and the activation of a classifier.

    Args:
        graph: The source's folded graph, with one output.
        trained: The source, asked for two answers where its graph does not tell.
        spec: Its input.
        preprocessing: What it expects.
        told: The user's word: ``logits``, ``softmax`` or ``sigmoid``.

    Raises:
        UsageError: If the model does not tell and the user did not, or they contradict.
    """
    if told is not None and told not in HEADS:
        raise UsageError(f"unknown head {told!r}; known: {', '.join(HEADS)}")
    last = _last_computation(graph)
    found, scores = _activation(graph, last)
    if found is not None:
        if told not in (None, found):
            raise UsageError(
                f"{trained.name} ends in a {found}, which contradicts --head {told}",
                "Leave --head out: it is read from the model",
            )
        return HeadCut(scores, found, activate=True)
    if told != "sigmoid" and _answers_are_distributions(trained, spec, preprocessing):
        return HeadCut(graph.outputs[0], "softmax", activate=False)
    if told is None:
        raise UsageError(
            f"{trained.name} ends in {graph.nodes[last].op}, neither softmax nor sigmoid",
            "Say what its outputs are: --head logits (softmax follows) or --head sigmoid; "
            "or --task embedding, if they are no scores",
        )
    kind: Head = "sigmoid" if told == "sigmoid" else "softmax"
    return HeadCut(graph.outputs[0], kind, activate=True)


def _last_computation(graph: Graph) -> str:
    """The output node, seen through reshapes."""
    name = graph.outputs[0]
    while graph.nodes[name].op in _RESHAPES:
        name = node_name(graph.nodes[name].input[0])
    return name


def _activation(graph: Graph, last: str) -> tuple[Head | None, str]:
    """What the last computation is, if an activation, and the tensor that it takes."""
    node = graph.nodes[last]
    if node.op != "RealDiv":
        return _ACTIVATIONS.get(node.op), node.input[0] if node.input else last
    powers, total = (graph.nodes[node_name(name)] for name in node.input)
    written_out = powers.op == "Exp" and total.op == "Sum" and total.input[0] == node.input[0]
    return ("softmax", powers.input[0]) if written_out else (None, last)


def _answers_are_distributions(
    trained: TrainedModel, spec: InputSpec, preprocessing: Preprocessing
) -> bool:
    """Whether the model answers noise with probabilities that add up to 1."""
    shape = (trained.input_shape[0] or 2, spec.height, spec.width, spec.channels)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (scores,) = trained.predict(preprocess(noise, preprocessing)).values()
    if scores.shape[-1] < 2 or not np.isfinite(scores).all():
        return False
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=-1), 1, atol=1e-3))
