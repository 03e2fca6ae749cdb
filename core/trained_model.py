"""Trained models as they come: files and folders of several kinds, Keras Applications by name."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeferry.applications import APPLICATIONS, build_application, nearest_applications
from edgeferry.errors import SourceError, UsageError
from edgeferry.registry import is_installed, missing_dependency

KERAS_SUFFIXES = {".keras": "keras", ".h5": "h5", ".hdf5": "h5"}
ONNX_SUFFIX, TORCH_SUFFIX = ".onnx", ".pt2"
_FILE_SUFFIXES = (*KERAS_SUFFIXES, ONNX_SUFFIX, TORCH_SUFFIX)
_SERVING = "serving_default"
_INTEGERS = ("uint8", "int32", "int64")
_SHAPE = "edgeferry takes networks with one input: pictures [N, height, width, 1 or 3]"


class TrainedModel(ABC):
    """A trained network: float32 pictures in, its outputs out.

    Attributes:
        name: Its name, without folder or suffix.
        kind: ``keras``, ``h5``, ``saved_model``, ``onnx``, ``torch`` or ``application``.
        input_shape: ``(N, height, width, channels)``, None where dynamic.
        output_names: Names of what it gives, in order.
        keras_model: The Keras model; None for other kinds.
    """

    takes_integers = False
    """Whether it takes pictures of 0 to 255 as integers: then it does its own preprocessing."""
    autograph = True
    """Whether tracing has to turn Python code into operations."""

    def __init__(
        self, name: str, kind: str, shape: Any, outputs: Sequence[str], keras_model: Any = None
    ) -> None:
        self.name = name
        self.kind = kind
        self.output_names = tuple(outputs)
        self.keras_model = keras_model
        self.input_shape = _checked_shape(name, shape)
        self._graph: Any = None

    @abstractmethod
    def __call__(self, images: Any) -> list[Any]:
        """Map a float32 tensor ``[N, height, width, channels]`` to the output tensors."""

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of configuration and weights, hexadecimal: the same wherever it lies."""

    def predict(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run preprocessed pictures, float32 ``[N, height, width, channels]``; outputs by name.

        As a graph, which takes half the time of single operations.
        """
        import tensorflow as tf

        if self._graph is None:
            self._graph = tf.function(self, reduce_retracing=True, autograph=self.autograph)
        outputs = self._graph(tf.constant(images))
        arrays = (np.asarray(output, np.float32) for output in outputs)
        return dict(zip(self.output_names, arrays, strict=True))


class _KerasModel(TrainedModel):
    def __init__(self, model: Any, name: str, kind: str) -> None:
        shape = keras_input_shape(model, name)
        super().__init__(name, kind, shape, keras_output_names(model), model)
        for layer in model._flatten_layers():
            # A model trained in mixed precision is exported in float32.
            if getattr(layer, "compute_dtype", "float32") != "float32":
                layer.dtype_policy = "float32"

    def __call__(self, images: Any) -> list[Any]:
        given = self.keras_model(images, training=False)
        if isinstance(given, dict):
            return [given[name] for name in self.output_names]
        return list(given) if isinstance(given, list | tuple) else [given]

    def digest(self) -> str:
        # The compile configuration and the weights' paths vary between loads of one file.
        config = {**json.loads(self.keras_model.to_json()), "compile_config": None}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for weight in self.keras_model.weights:
            value = weight.value.numpy()
            digest.update(f"{weight.name} {value.dtype} {value.shape}\n".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()


class _SavedModel(TrainedModel):
    def __init__(self, loaded: Any, signature: Any, name: str) -> None:
        inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
        _require_one_input(name, len(inputs))
        ((self._input, spec),) = inputs.items()
        if spec.dtype.name not in ("float32", *_INTEGERS):
            raise SourceError(f"{name} takes {spec.dtype.name}, not numbers of pictures", _SHAPE)
        self.takes_integers = spec.dtype.name in _INTEGERS
        self._dtype = spec.dtype
        super().__init__(name, "saved_model", spec.shape, sorted(outputs))
        self._signature = signature
        self._loaded = loaded  # holds the variables that the signature reads

    def __call__(self, images: Any) -> list[Any]:
        import tensorflow as tf

        given = self._signature(**{self._input: tf.cast(images, self._dtype)})
        return [given[name] for name in self.output_names]

    def digest(self) -> str:
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        frozen = convert_variables_to_constants_v2(self._signature, lower_control_flow=False)
        outputs = [output.name for output in frozen.outputs]
        return _graph_digest(frozen.graph.as_graph_def(), outputs)


class _OnnxModel(TrainedModel):
    autograph = False

    def __init__(self, model: Any, path: Path, kind: str) -> None:
        from edgeferry.onnx_source.network import OnnxNetwork

        self._network = OnnxNetwork(model, path)
        super().__init__(path.stem, kind, self._network.shape, self._network.output_names)

    def __call__(self, images: Any) -> list[Any]:
        return self._network(images)

    def digest(self) -> str:
        return self._network.digest()


def load_trained_model(source: str | Path, signature: str = "") -> TrainedModel:
    """Open a trained model; no code that a file may hold is run.

    Args:
        source: A ``.keras``, ``.h5``, ``.hdf5``, ``.onnx`` or ``.pt2`` file, a SavedModel folder,
            or a name of ``APPLICATIONS``: Keras Applications with ImageNet weights, unless a path
            of that name exists.
        signature: The one of a SavedModel; empty takes ``serving_default``, or the only one.

    Raises:
        SourceError: If it is missing, damaged, no model, needs code of its own, or has more
            than one input.
        MissingDependencyError: If TensorFlow is not installed, or PyTorch for its programs.
        UsageError: If a signature is given for another kind of model.
    """
    check_source(source)
    path = Path(source)
    if signature and not path.is_dir():
        raise UsageError(f"{source} is no SavedModel: it has no signature {signature!r}")
    _quiet_tensorflow()
    if not path.exists():
        return _KerasModel(_download_application(str(source)), str(source), "application")
    if path.is_dir():
        return _load_saved_model(path, signature)
    if path.suffix == ONNX_SUFFIX:
        from edgeferry.onnx_source.network import read_onnx

        return _OnnxModel(read_onnx(path), path, "onnx")
    if path.suffix == TORCH_SUFFIX:
        from edgeferry.torch_source import program_as_onnx

        return _OnnxModel(program_as_onnx(path), path, "torch")
    return _load_keras_file(path)


def check_source(source: str | Path) -> None:
    """Refuse what is no trained model at first sight, without opening it.

    Raises:
        SourceError: If it is missing, or of no known kind.
    """
    path = Path(source)
    if not path.exists() and str(source) not in APPLICATIONS:
        raise SourceError(f"there is no model {source}", _nearest(str(source)) or _known())
    if path.is_file() and path.suffix not in _FILE_SUFFIXES:
        raise SourceError(f"{source} is no model of a kind that edgeferry reads", _known())
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise SourceError(f"{source} is a folder without saved_model.pb: no SavedModel", _known())


def keras_input_shape(model: Any, name: str) -> tuple[int | None, ...]:
    """The shape that a ``keras.Model`` takes, ``(N, height, width, channels)``, None if dynamic.

    Raises:
        SourceError: If it has more than one input, or is not built.
    """
    inputs = getattr(model, "inputs", None) or []
    _require_one_input(name, len(inputs))
    return _checked_shape(name, inputs[0].shape)


def _load_keras_file(path: Path) -> TrainedModel:
    import keras

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise _keras_refusal(path, str(error) or repr(error)) from error
    return _KerasModel(model, path.stem, KERAS_SUFFIXES[path.suffix])


def _keras_refusal(path: Path, reason: str) -> SourceError:
    if "safe_mode" in reason or "Lambda" in reason:
        return SourceError(
            f"{path} holds code (a Lambda layer); it is opened in Keras's safe mode, "
            "and no code from files is run",
            "Replace the layer by one of Keras's own, or load it yourself and pass the keras.Model",
        )
    if "Could not locate class" in reason or "Unknown layer" in reason:
        return SourceError(
            f"{path} has layers of a class that is not Keras's own",
            "Load it yourself with its classes and pass the keras.Model to edgeferry.export",
        )
    return SourceError(
        f"{path} is damaged, or no Keras model: {reason.strip().splitlines()[0][:200]}"
    )


def _load_saved_model(path: Path, name: str) -> TrainedModel:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise SourceError(f"{path} is a damaged SavedModel: {reason}") from error
    signature = _signature(loaded.signatures, name)
    if signature is None:
        found = ", ".join(loaded.signatures) or "none"
        raise SourceError(
            f"{path} has no signature {name or _SERVING} (it has: {found})",
            "Name one with --signature" if loaded.signatures else "",
        )
    if _assigns_variables(signature):
        raise SourceError(
            f"{path} was exported in training mode: it changes its variables with each answer",
            "Keras does so where layers augment pictures; take the .keras file instead",
        )
    return _SavedModel(loaded, signature, path.resolve().name)


def _signature(signatures: Any, name: str) -> Any:
    """The one asked for, or the one that is usual, or the only one."""
    if not name and _SERVING not in signatures and len(signatures) == 1:
        (name,) = signatures
    return signatures.get(name or _SERVING)


def _assigns_variables(signature: Any) -> bool:
    graph = signature.graph.as_graph_def()
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(node.op.startswith("Assign") for body in bodies for node in body)


def _download_application(name: str) -> Any:
    """Build a Keras Applications network with its ImageNet weights, which Keras downloads."""
    try:
        return build_application(name)
    except Exception as error:
        raise SourceError(f"cannot get {name} from Keras Applications: {error}") from error


def _quiet_tensorflow() -> None:
    if not is_installed("tensorflow"):
        raise missing_dependency("opening a trained model", ("tensorflow",), "export")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _require_one_input(name: str, inputs: int) -> None:
    if inputs != 1:
        raise SourceError(f"{name} has {inputs} inputs", _SHAPE)


def keras_output_names(model: Any) -> list[str]:
    """Names of what a ``keras.Model`` gives: keys of a dict, else the layers that give them."""
    given = getattr(model, "_outputs_struct", None)
    return sorted(given) if isinstance(given, dict) else list(model.output_names)


def _checked_shape(name: str, shape: Any) -> tuple[int | None, ...]:
    sizes = () if getattr(shape, "rank", 0) is None else tuple(shape)
    if len(sizes) != 4 or sizes[3] not in (1, 3):
        raise SourceError(f"{name} takes an input of shape {list(sizes)}", _SHAPE)
    return sizes


def _known() -> str:
    files = ", ".join(_FILE_SUFFIXES)
    return (
        f"Known: {files}, a SavedModel folder, or a network of Keras Applications by name, "
        "e.g. resnet50 or mobilenet_v2"
    )


def _nearest(name: str) -> str:
    nearest = nearest_applications(name)
    return f"The nearest names of Keras Applications: {', '.join(nearest)}" if nearest else ""


def _graph_digest(graph: Any, outputs: Sequence[str]) -> str:
    """Digest a frozen graph from its outputs backwards: names, which vary, do not enter."""
    nodes = {node.name: node for node in graph.node}
    digests: dict[str, bytes] = {}
    ends = [_node_name(output) for output in outputs]
    pending = list(ends)
    while pending:
        if pending[-1] in digests:
            pending.pop()
            continue
        node = nodes[pending[-1]]
        missing = [name for name in map(_node_name, node.input) if name not in digests]
        if missing:
            pending.extend(missing)
            continue
        digests[pending.pop()] = _node_digest(node, digests)
    if len(ends) == 1:
        return digests[ends[0]].hex()
    return hashlib.sha256(b"".join(digests[end] for end in ends)).hexdigest()


def _node_name(edge: str) -> str:
    return edge.lstrip("^").split(":")[0]


def _node_digest(node: Any, digests: dict[str, bytes]) -> bytes:
    digest = hashlib.sha256(node.op.encode())
    for key in sorted(node.attr):
        if not key.startswith("_") and key != "shared_name":
            digest.update(key.encode() + node.attr[key].SerializeToString(deterministic=True))
    for edge in node.input:
        digest.update(edge.partition(":")[2].encode() + digests[_node_name(edge)])
    return digest.digest()
