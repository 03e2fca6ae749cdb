"""Choosing an engine, with and without it installed."""

import pytest

from edgeferry import registry
from edgeferry.errors import MissingDependencyError, UsageError
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime, runtimes_for


@pytest.fixture
def only(monkeypatch):
    """Call with modules; nothing else counts as installed."""

    def install(*modules):
        monkeypatch.setattr(registry, "is_installed", lambda name: name in modules)

    return install


@pytest.mark.parametrize(
    ("modules", "chosen"),
    [
        (("ai_edge_litert", "tflite_runtime", "tensorflow"), "litert"),
        (("tflite_runtime", "tensorflow"), "tflite-runtime"),
        (("tensorflow",), "tensorflow"),
    ],
)
def test_the_first_installed_is_chosen(only, modules, chosen):
    only(*modules)
    assert choose_runtime("tflite") == chosen


@pytest.mark.parametrize("kind", ["tflite", "onnx", "openvino"])
def test_none_installed_names_the_extra(only, kind):
    only()
    with pytest.raises(MissingDependencyError, match=rf"pip install 'edgeferry\[{kind}\]'"):
        choose_runtime(kind)


def test_the_one_asked_for_is_not_installed(only):
    only("ai_edge_litert")
    with pytest.raises(MissingDependencyError, match=r"'tflite-runtime'[^\n]*\n.*\[tflite-runtime"):
        choose_runtime("tflite", "tflite-runtime")


def test_openvino_runs_onnx_only_when_asked(only):
    only("openvino")
    assert choose_runtime("onnx", "openvino") == "openvino"
    with pytest.raises(MissingDependencyError, match="onnxruntime"):
        choose_runtime("onnx")


def test_a_runtime_of_another_format_lists_the_right_ones(only):
    only("onnxruntime")
    with pytest.raises(UsageError, match="litert, tflite-runtime, tensorflow"):
        choose_runtime("tflite", "onnxruntime")


def test_an_unknown_runtime_lists_the_known():
    with pytest.raises(UsageError, match=r"unknown runtime 'abacus'; known: litert, .*openvino"):
        choose_runtime("tflite", "abacus")


def test_every_entry_can_be_imported_where_installed():
    for name, entry in RUNTIMES.entries().items():
        if not entry.missing():
            assert RUNTIMES.load(name).name == name
    assert runtimes_for("onnx") == ("onnxruntime", "openvino")
