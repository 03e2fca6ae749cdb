"""From a trained model to the graph that every exporter starts from: the contract folded in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeferry.contract import (
    INPUT_NAME,
    Contract,
    Head,
    InputSpec,
    OutputSpec,
    Preprocessing,
    ResizeRule,
    SourceInfo,
)
from edgeferry.errors import SourceError, UsageError
from edgeferry.exporters.base import PreparedSource, versions_of
from edgeferry.exporters.batch_norm import fold_batch_norm
from edgeferry.exporters.entry import Entry, fold_entry
from edgeferry.exporters.graph import (
    Graph,
    drop_integer_casts,
    fold_constants,
    plain_additions,
)
from edgeferry.exporters.head import find_head
from edgeferry.exporters.keras_names import layer_names, restore_names
from edgeferry.exporters.tracing import functions_inlined
from edgeferry.labels import check_labels, read_labels
from edgeferry.outputs import classes_of, contract_outputs, task_of
from edgeferry.preprocessing import normalization
from edgeferry.trained_model import TrainedModel

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow import GraphDef

ENTRY_SCOPE = "entry"
"""Scope of the nodes that bring the picture to float; no precision quantizes them."""
_NETWORK_SCOPE = "net"
_TOOLS = {"torch": ("torch", "onnxscript")}
"""What else takes a kind of source over."""


@dataclass(frozen=True)
class PreparationOptions:
    """How to read the source.

    Attributes:
        preprocessing: What the source expects.
        task: What the outputs mean, where their shapes do not tell.
        head: ``logits``, ``softmax`` or ``sigmoid`` where the source does not tell.
        labels: File of labels.
        size: Height and width, for a source whose input size is dynamic.
        batch: Pictures per inference; None is dynamic.
        resize: The host's resize rule.
        signature: The one of a SavedModel; empty for the usual one.
    """

    preprocessing: Preprocessing
    task: str | None = None
    head: str | None = None
    labels: Path | None = None
    size: tuple[int, int] | None = None
    batch: int | None = 1
    resize: ResizeRule = ResizeRule()
    signature: str = ""


@dataclass(frozen=True)
class Traced:
    """A source as a graph.

    Attributes:
        graph: It, frozen.
        input: Name of its input node.
        outputs: What it gives, in the order of the graph's outputs.
    """

    graph: Graph
    input: str
    outputs: tuple[OutputSpec, ...]


@dataclass(frozen=True)
class End:
    """One output of the artifacts.

    Attributes:
        tensor: Name of the node in the source's graph.
        output: What it becomes.
        activation: The one that has to be put on it; ``none`` takes it as it is.
    """

    tensor: str
    output: OutputSpec
    activation: Head = "none"


def prepare_source(
    trained: TrainedModel, options: PreparationOptions, folder: Path
) -> PreparedSource:
    """Fold the contract into a source model, and write ``graph.pb`` and ``prepared.json``.

    Args:
        trained: The source model; stays as it is.
        options: How to read it.
        folder: Where to write.

    Raises:
        SourceError: If the model takes no pictures, or holds what cannot be exported.
        UsageError: If an option is missing or contradicts the model.
        LabelError: If the labels do not fit the classes.
    """
    if trained.takes_integers and options.preprocessing != "none":
        raise UsageError(
            f"{trained.name} takes integers, 0 to 255: it does its own preprocessing",
            "Say so: --preprocessing none",
        )
    spec = input_spec(trained, options)
    traced = freeze(trained, spec)
    graph, source_input = traced.graph, traced.input
    task = task_of(trained.name, traced.outputs, options.task)
    outputs = contract_outputs(task, traced.outputs)
    classes = classes_of(task, outputs)
    if trained.keras_model is not None:
        renamed = restore_names(graph, layer_names(trained.keras_model))
        source_input = renamed.get(source_input, source_input)
    labels = None if options.labels is None else read_labels(options.labels)
    if labels is not None:
        check_labels(labels, classes)
    if options.head is not None and task not in ("classification", "segmentation"):
        raise UsageError(f"--head says what scores are; the outputs of {task} stay as they are")
    fold_constants(graph)
    drop_integer_casts(graph, source_input)
    plain_additions(graph)
    fold_batch_norm(graph)
    ends = [End(tensor, out) for tensor, out in zip(graph.outputs, outputs, strict=True)]
    head: Head = "none"
    if task in ("classification", "segmentation"):
        cut = find_head(graph, trained, spec, options.preprocessing, options.head)
        ends = [End(cut.tensor, outputs[0], cut.kind if cut.activate else "none")]
        head = cut.kind
    mode = normalization(options.preprocessing, spec.channels)
    entry = fold_entry(graph, source_input, mode, spec.channels)
    contract = Contract(
        task=task,
        input=spec,
        classes=classes,
        labels=labels,
        head=head,
        precision="fp32",
        recipe="fp32",
        source=SourceInfo(trained.name, trained.digest(), options.preprocessing, options.signature),
        versions=versions_of(["edgeferry", "tensorflow", "keras", *_TOOLS.get(trained.kind, ())]),
        outputs=tuple(outputs),
    )
    prepared = PreparedSource(folder / "graph.pb", contract, best_method(graph))
    graph_def = assemble(graph, entry, ends, spec)
    prepared.graph.write_bytes(graph_def.SerializeToString(deterministic=True))
    prepared.save(folder / "prepared.json")
    return prepared


def best_method(graph: Graph) -> str:
    """The calibration method that measured best on networks like this one, in every format.

    Depthwise convolutions leave activations with long tails; see docs/decisions/0018.
    """
    is_depthwise = any(node.op.startswith("DepthwiseConv2d") for node in graph.nodes.values())
    return "mse" if is_depthwise else "percentile"


def input_spec(trained: TrainedModel, options: PreparationOptions) -> InputSpec:
    """The input tensor of the artifacts, from the source's and the user's sizes.

    Raises:
        SourceError: If the source does not take pictures ``[N, H, W, 1 or 3]``.
        UsageError: If the size is dynamic and not given, or given and another; or if the
            source takes another number of pictures at a time.
    """
    shape = trained.input_shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise SourceError(
            f"{trained.name} takes {list(shape)}, not pictures [N, height, width, 3 or 1]"
        )
    own, told = shape[1:3], options.size
    if told is None and None in own:
        raise UsageError(
            f"{trained.name} takes pictures of any size", "Fix one with --size, e.g. --size 224"
        )
    if told is not None and any(a not in (None, b) for a, b in zip(own, told, strict=True)):
        raise UsageError(
            f"{trained.name} takes {own[0]}x{own[1]} pictures, not {told[0]}x{told[1]}"
        )
    if trained.keras_model is None and shape[0] not in (None, options.batch):
        raise UsageError(
            f"{trained.name} takes {shape[0]} picture(s) at a time, and that for good",
            f"Export it with --batch {shape[0]}, or from a file that takes any number",
        )
    height, width = (int(a or b or 0) for a, b in zip(own, told or own, strict=True))
    return InputSpec(height, width, int(shape[3] or 0), options.batch, options.resize)


def freeze(trained: TrainedModel, spec: InputSpec) -> Traced:
    """Trace the source for inference and freeze its variables.

    Raises:
        SourceError: If the size of an output is not known, or it calls a function that cannot
            be inlined.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    signature = tf.TensorSpec(spec.shape, tf.float32, name="picture")
    with functions_inlined():
        traced = tf.function(trained, input_signature=[signature], autograph=trained.autograph)
        function = traced.get_concrete_function()
    outputs = []
    for name, output in zip(trained.output_names, function.outputs, strict=True):
        sizes = [] if output.shape.rank is None else output.shape.as_list()[1:]
        if output.shape.rank is None or None in sizes:
            raise SourceError(f"{trained.name} gives {name} in a size that is not known beforehand")
        outputs.append(OutputSpec(name, tuple(sizes)))
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    graph = Graph(frozen.graph.as_graph_def(), [output.op.name for output in frozen.outputs])
    if any("PartitionedCall" in node.op for node in graph.nodes.values()):
        raise SourceError(
            f"{trained.name} holds a function compiled apart, as grouped convolutions are",
            "Export the Keras model itself, as .keras or in memory",
        )
    return Traced(graph, frozen.inputs[0].op.name, tuple(outputs))


def assemble(graph: Graph, entry: Entry, ends: Sequence[End], spec: InputSpec) -> GraphDef:
    """Put the contract's two ends on the network: uint8 ``image`` in, float32 outputs out.

    Raises:
        SourceError: If its softmax gives several answers.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as whole:
        image = tf.compat.v1.placeholder(tf.uint8, spec.shape, name=INPUT_NAME)
        found = tf.import_graph_def(
            graph.graph_def(),
            input_map={f"{entry.tensor}:0": _entry_nodes(image, entry)},
            return_elements=[f"{end.tensor}:0" for end in ends],
            name=_NETWORK_SCOPE,
        )
        for value, end in zip(found, ends, strict=True):
            _finish(value, end)
        names = [end.output.name for end in ends]
        return tf.compat.v1.graph_util.extract_sub_graph(whole.as_graph_def(), names)


def _finish(value: tf.Tensor, end: End) -> None:
    """Shape one output, activate it and give it its name."""
    import tensorflow as tf

    shape = end.output.shape
    if end.activation == "softmax" and value.shape[-1] not in (None, shape[-1]):
        raise SourceError(
            f"the softmax is over {value.shape[-1]} of the {shape[-1]} outputs",
            "Only classifiers that give one answer can be exported so far",
        )
    value = value if len(value.shape) == len(shape) + 1 else tf.reshape(value, [-1, *shape])
    finish = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid, "none": tf.identity}
    finish[end.activation](value, name=end.output.name)


def _entry_nodes(image: tf.Tensor, entry: Entry) -> tf.Tensor:
    import tensorflow as tf

    with tf.name_scope(ENTRY_SCOPE):
        value = tf.cast(image, tf.float32, name="float")
        if np.any(entry.mean):
            value = tf.subtract(value, entry.mean, name="mean")
        if entry.scale is not None:
            value = tf.multiply(value, entry.scale, name="scale")
        return tf.reverse(value, [3], name="flip") if entry.flip else value
