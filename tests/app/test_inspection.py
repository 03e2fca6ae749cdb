"""What inspect tells of an artifact."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgeferry.app.inspection import inspect
from edgeferry.errors import EngineError, MissingDependencyError, UsageError
from edgeferry.runtimes.base import RuntimeOptions

ONE_THREAD = RuntimeOptions(threads=1)


@pytest.fixture
def artifact(tmp_path, write_network, matrix):
    return write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)


def test_contract_is_read_from_the_file_alone(artifact, tmp_path, contract):
    elsewhere = tmp_path / "elsewhere" / "renamed.onnx"
    elsewhere.parent.mkdir()
    shutil.copy(artifact, elsewhere)
    result = inspect(elsewhere, None, ONE_THREAD).result()
    assert result.artifact == "renamed.onnx"
    assert {**result.extra["contract"], "integrity": None} == contract.to_dict()
    assert result.size_bytes == artifact.stat().st_size


def test_operations_are_counted_as_the_engine_executes_them(artifact):
    result = inspect(artifact, None, ONE_THREAD).result()
    counts = {row["op"]: row["count"] for row in result.ops if not row["fused"]}
    assert counts["MatMul"] == 1
    assert counts["Softmax"] == 1
    assert (result.executed, result.extra["threads"]) == ("fp32", 1)


def test_layers_are_listed_on_demand(artifact):
    found = inspect(artifact, None, ONE_THREAD)
    assert "layers" not in found.result().extra
    types = [layer["type"] for layer in found.result(layers=True).extra["layers"]]
    assert "Softmax" in types


def test_tensors_are_those_of_the_contract(artifact):
    extra = inspect(artifact, None, ONE_THREAD).result().extra
    assert extra["inputs"] == [{"name": "image", "dtype": "uint8", "shape": [1, 8, 8, 3]}]
    assert extra["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": [1, 6]}]


def test_missing_engine_leaves_the_contract_readable(artifact, monkeypatch, contract):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: None)
    found = inspect(artifact, None, ONE_THREAD)
    assert replace(found.artifact.contract, integrity=None) == contract
    assert found.result().ops is None
    assert "edgeferry[onnx]" in found.notes[0]


def test_missing_engine_asked_for_by_name_is_an_error(artifact, monkeypatch):
    monkeypatch.setattr("edgeferry.registry.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"edgeferry\[onnx\]"):
        inspect(artifact, "onnxruntime", ONE_THREAD)


def test_engine_of_another_format_is_refused(artifact):
    with pytest.raises(UsageError, match="litert"):
        inspect(artifact, "litert", ONE_THREAD)


def test_file_that_its_engine_refuses_still_shows_its_contract(tmp_path, write_network, contract):
    path = write_network(tmp_path / "bad.onnx", "fp32", np.zeros((4, 6), np.float32))
    found = inspect(path, None, ONE_THREAD)
    assert replace(found.artifact.contract, integrity=None) == contract
    assert "bad.onnx" in found.notes[0]
    with pytest.raises(EngineError, match=r"bad\.onnx"):
        inspect(path, "onnxruntime", ONE_THREAD)


def test_foreign_model_is_described_as_such(artifact):
    import onnx

    model = onnx.load(artifact)
    del model.metadata_props[:]
    onnx.save(model, artifact)
    found = inspect(artifact, None, ONE_THREAD)
    assert "no edgeferry contract" in found.notes[0]
    assert found.result().extra["contract"] is None
    assert found.result().size_bytes == artifact.stat().st_size
