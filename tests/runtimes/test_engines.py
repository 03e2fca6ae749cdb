"""Each engine on a network that numpy computes: batches, options, what it says of itself."""

import numpy as np
import pytest

from edgeferry.errors import EngineError, ImageError, UsageError
from edgeferry.registry import is_installed
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.registry import RUNTIMES

SUFFIXES = {
    "litert": ".tflite",
    "tflite-runtime": ".tflite",
    "tensorflow": ".tflite",
    "onnxruntime": ".onnx",
    "openvino": ".xml",
}
NO_SUCH_DEVICE = {
    "litert": "/no/such/delegate.so",
    "tflite-runtime": "/no/such/delegate.so",
    "tensorflow": "/no/such/delegate.so",
    "onnxruntime": "AbacusExecutionProvider",
    "openvino": "ABACUS",
}


def installed(name: str) -> bool:
    return not RUNTIMES.entry(name).missing()


@pytest.fixture(params=SUFFIXES)
def engine(request):
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    return request.param


def opened(engine, artifact, options=None):
    return RUNTIMES.load(engine)(
        artifact.path, artifact.contract, options or RuntimeOptions(threads=1)
    )


def test_fixed_batches_of_several_pictures(engine, tiny, pictures):
    artifact = tiny(SUFFIXES[engine], 3)
    with opened(engine, artifact) as runtime:
        result = runtime.infer(pictures[:3])["probabilities"]
        np.testing.assert_allclose(result, artifact.reference(pictures[:3]), atol=1e-5)
        with pytest.raises(ImageError, match="3 at a time, not 2"):
            runtime.infer(pictures[:2])


def test_dynamic_batches_follow_the_pictures(engine, tiny, pictures):
    artifact = tiny(SUFFIXES[engine], None)
    with opened(engine, artifact) as runtime:
        for count in (1, 7, 2, 2):
            result = runtime.infer(pictures[:count])["probabilities"]
            np.testing.assert_allclose(result, artifact.reference(pictures[:count]), atol=1e-5)
        assert runtime.describe().executed == "fp32"


def test_arrays_in_any_memory_order(engine, tiny, pictures):
    artifact = tiny(SUFFIXES[engine], None)
    views = [pictures[:, :, :, ::-1], pictures[::2], np.asfortranarray(pictures)]
    with opened(engine, artifact) as runtime:
        for view in views:
            result = runtime.infer(view)["probabilities"]
            np.testing.assert_allclose(result, artifact.reference(view), atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_as_asked(engine, tiny, threads):
    with opened(engine, tiny(SUFFIXES[engine]), RuntimeOptions(threads)) as runtime:
        assert runtime.describe().threads == threads


def test_an_unknown_device_lists_what_there_is(engine, tiny):
    options = RuntimeOptions(threads=1, device=NO_SUCH_DEVICE[engine])
    with pytest.raises(UsageError, match=r"CPU|delegate"):
        opened(engine, tiny(SUFFIXES[engine]), options).open()


def test_openvino_runs_onnx_files_too(tiny, pictures):
    if not installed("openvino"):
        pytest.skip("openvino is not installed")
    artifact = tiny(".onnx")
    with opened("openvino", artifact) as runtime:
        result = runtime.infer(pictures[:1])["probabilities"]
    np.testing.assert_allclose(result, artifact.reference(pictures[:1]), atol=1e-5)


@pytest.mark.parametrize(("execution", "hint"), [("float32", "<Type: 'float32'>"), ("auto", None)])
def test_openvino_is_held_to_float32_unless_told_otherwise(tiny, execution, hint):
    if not installed("openvino"):
        pytest.skip("openvino is not installed")
    options = RuntimeOptions(threads=1, execution=execution)
    with opened("openvino", tiny(".xml"), options) as runtime:
        assert runtime._settings().get("INFERENCE_PRECISION_HINT") == ("f32" if hint else None)
        used = runtime._compiled.get_property("INFERENCE_PRECISION_HINT")
        assert hint is None or repr(used) == hint


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # LiteRT's own
def test_a_delegate_that_is_no_library(tiny, tmp_path):
    if not is_installed("ai_edge_litert"):
        pytest.skip("ai_edge_litert is not installed")
    library = tmp_path / "delegate.so"
    library.write_text("no library")
    options = RuntimeOptions(threads=1, device=str(library))
    with pytest.raises(EngineError, match="litert cannot open"):
        opened("litert", tiny(".tflite"), options).open()
