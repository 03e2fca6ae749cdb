"""The contract as data: everything comes back, and what older versions wrote is read."""

import json

import pytest

from edgeferry.contract import (
    CalibrationInfo,
    Contract,
    ControlInfo,
    InputSpec,
    QuantizationInfo,
    SourceInfo,
)
from edgeferry.errors import ContractError


@pytest.fixture
def contract():
    return Contract(
        task="classification",
        input=InputSpec(32, 48),
        classes=2,
        labels=("cat", "dog"),
        head="softmax",
        precision="int8",
        recipe="int8-static",
        source=SourceInfo("pets", "0" * 64, "tf"),
        calibration=CalibrationInfo("mse", 100, "1" * 64),
        quantization=QuantizationInfo(
            repairs=("equalization", "bias-correction"),
            float_layers=("conv1", "conv2"),
            control=ControlInfo(0.5, 0.25, "top1", 400, 7),
        ),
        versions={"edgeferry": "1"},
    )


def test_all_of_it_comes_back(contract):
    assert Contract.from_json(contract.to_json()) == contract


def test_schema_1_is_read_as_without_quantization(contract):
    data = json.loads(contract.to_json())
    del data["quantization"]
    old = Contract.from_json(json.dumps({**data, "schema": 1}))
    assert old.quantization is None
    assert old.calibration == contract.calibration


@pytest.mark.parametrize(
    "broken",
    [
        {"repairs": []},
        {"repairs": [], "float_layers": [], "control": {"drop": 1}},
        {"repairs": 3, "float_layers": [], "control": None},
        "no object",
    ],
)
def test_a_malformed_quantization_is_an_error(contract, broken):
    data = {**json.loads(contract.to_json()), "quantization": broken}
    with pytest.raises(ContractError, match="malformed"):
        Contract.from_json(json.dumps(data))


def test_a_newer_schema_is_an_error(contract):
    data = {**json.loads(contract.to_json()), "schema": 99}
    with pytest.raises(ContractError, match="newer than this edgeferry"):
        Contract.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", "2"),
        ("classes", 2.5),
        ("classes", 1 << 63),
        ("labels", "ab"),
        ("labels", [1, 2]),
        ("task", []),
        ("versions", []),
        ("versions", {"edgeferry": 1}),
        ("source", []),
        ("source", {"name": "pets", "sha256": 0, "preprocessing": "tf"}),
        ("calibration", {"method": "mse", "count": "100", "sha256": "1"}),
        ("outputs", {"shape": 1}),
        ("quantization", {"repairs": "abc", "float_layers": [], "control": None}),
        ("input", {"height": 1 << 20, "width": 1 << 20}),
        ("input", {"batch": 1 << 62}),
        ("input", {"height": 32, "width": 48, "channels": True}),
        ("input", {"height": 32, "width": 48, "channels": []}),
        ("recipe", ["int8"]),
    ],
)
def test_a_value_of_another_kind_is_an_error(contract, key, value):
    data = json.loads(contract.to_json())
    data[key] = {**data[key], **value} if key == "input" else value
    with pytest.raises(ContractError):
        Contract.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text", ['{"schema": NaN}', '{"schema":' + "[" * 100_000, b"\xff", '{"schema": 1e999}']
)
def test_what_is_no_json_is_an_error(text):
    with pytest.raises(ContractError, match="not valid JSON"):
        Contract.from_json(text)


def test_labels_cannot_steer_a_terminal(contract):
    data = {**json.loads(contract.to_json()), "labels": ["\x1b[2Jcat", "dog\n"]}
    assert Contract.from_json(json.dumps(data)).labels == ("\ufffd[2Jcat", "dog\ufffd")


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("segmentation", {"probabilities": [8, 8, 3]}),
        ("segmentation", {"probabilities": [2]}),
        ("segmentation", {"masks": [8, 8, 2]}),
        ("detection", {"boxes": [5, 4]}),
        ("detection", {"boxes": [5, 4], "scores": [6, 2]}),
        ("detection", {"boxes": [5, 4], "probabilities": [5, 2]}),
        ("detection", {"boxes": [2], "scores": [2]}),
        ("embedding", {"probabilities": [2]}),
        ("embedding", {"embedding": [1, 2]}),
        ("raw", {}),
    ],
)
def test_outputs_that_are_none_of_the_task_are_refused(contract, task, outputs):
    told = [{"name": name, "shape": shape} for name, shape in outputs.items()]
    data = {**json.loads(contract.to_json()), "task": task, "outputs": told}
    with pytest.raises(ContractError, match=f"do not suit its task, {task}"):
        Contract.from_json(json.dumps(data))


def test_a_name_that_two_outputs_have_is_refused(contract):
    told = [{"name": "a", "shape": [1]}, {"name": "a", "shape": [1]}]
    data = {**json.loads(contract.to_json()), "task": "raw", "outputs": told}
    with pytest.raises(ContractError, match="do not suit"):
        Contract.from_json(json.dumps(data))
