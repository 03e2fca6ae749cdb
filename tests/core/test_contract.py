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
