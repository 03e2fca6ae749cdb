"""The engines edgeferry knows, in order of preference."""

from collections.abc import Iterator

from edgeferry.errors import UsageError
from edgeferry.progress import logger
from edgeferry.registry import Entry, Registry, missing_dependency

_log = logger(__name__)
RUNTIMES = Registry(
    "runtime",
    "edgeferry.runtimes",
    {
        "litert": Entry(
            "edgeferry.runtimes.litert_runtime:LitertRuntime",
            requires=("ai_edge_litert",),
            extra="tflite",
            formats=("tflite",),
        ),
        "tflite-runtime": Entry(
            "edgeferry.runtimes.tflite_runtime_runtime:TfliteRuntimeRuntime",
            requires=("tflite_runtime",),
            extra="tflite-runtime",
            formats=("tflite",),
        ),
        "tensorflow": Entry(
            "edgeferry.runtimes.tensorflow_runtime:TensorflowRuntime",
            requires=("tensorflow",),
            extra="export",
            formats=("tflite",),
        ),
        "onnxruntime": Entry(
            "edgeferry.runtimes.ort_runtime:OrtRuntime",
            requires=("onnxruntime",),
            extra="onnx",
            formats=("onnx",),
        ),
        "openvino": Entry(
            "edgeferry.runtimes.openvino_runtime:OpenvinoRuntime",
            requires=("openvino",),
            extra="openvino",
            formats=("openvino", "onnx"),
        ),
        "keras": Entry(
            "edgeferry.runtimes.keras_runtime:KerasRuntime",
            requires=("tensorflow",),
            extra="export",
            formats=("keras",),
        ),
    },
)
"""Every runtime by name; the first of its formats is the one it is chosen for unasked."""


def choose_runtime(model_format: str, name: str | None = None) -> str:
    """Name the runtime that shall run a format.

    Args:
        model_format: ``tflite``, ``onnx``, ``openvino``, or ``keras`` for the reference.
        name: The one asked for; None takes the first that is installed.

    Raises:
        UsageError: If the one asked for is unknown or does not run the format.
        MissingDependencyError: If it, or every one for the format, is not installed.
    """
    if name and model_format not in RUNTIMES.entry(name).formats:
        known = ", ".join(runtimes_for(model_format)) or "none"
        raise UsageError(f"runtime {name!r} does not run {model_format}; these do: {known}")
    first: Entry | None = None
    for each in [name] if name else _made_for(model_format):
        entry = RUNTIMES.entry(each)
        first = first or entry
        if not entry.missing():
            return each
        _log.info("%s is passed over: %s not installed", each, ", ".join(entry.missing()))
    if first is None:
        raise UsageError(f"no runtime is made for {model_format!r}")
    what = f"the runtime {name!r}" if name else f"running {model_format}"
    raise missing_dependency(what, first.requires, first.extra)


def runtimes_for(model_format: str) -> tuple[str, ...]:
    """Names of the runtimes that run a format, installed or not, in order of preference."""
    entries = RUNTIMES.entries().items()
    return tuple(name for name, entry in entries if model_format in entry.formats)


def _made_for(model_format: str) -> Iterator[str]:
    for name, entry in RUNTIMES.in_turn():
        if entry.formats[:1] == (model_format,):
            yield name
