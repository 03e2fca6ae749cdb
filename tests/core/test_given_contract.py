"""What a user tells of another maker's file: read as it is, or refused."""

import json

import pytest

from edgeferry.errors import ContractError
from edgeferry.given_contract import GivenContract

TOLD = {"preprocessing": "caffe", "task": "classification", "head": "logits"}


@pytest.fixture
def read(tmp_path):
    def told(**more):
        path = tmp_path / "contract.json"
        path.write_text(json.dumps({**TOLD, **more}))
        return GivenContract.from_file(path)

    return told


@pytest.mark.parametrize(
    ("told", "size"), [(224, (224, 224)), ("8x16", (8, 16)), ([8, 16], (8, 16)), ([8], (8, 8))]
)
def test_a_size_is_one_side_or_both(read, told, size):
    assert read(size=told).size == size


@pytest.mark.parametrize(
    "more",
    [
        {"size": 8.5},
        {"size": True},
        {"size": []},
        {"size": [1, 2, 3]},
        {"size": "8x0"},
        {"size": [10**30, 1]},
        {"labels": [1, 2]},
        {"labels": {"a": 1}},
        {"outputs": {"probabilities": 1}},
        {"outputs": [["a", "b"]]},
        {"crop_ratio": "1"},
    ],
)
def test_values_of_other_kinds_are_refused(read, more):
    with pytest.raises(ContractError):
        read(**more)


@pytest.mark.parametrize("labels", ["nowhere.txt", "/dev/zero", ".", "", "a\0b"])
def test_labels_are_a_file(read, labels):
    """A device without an end filled the memory."""
    with pytest.raises(ContractError, match="no file of labels"):
        read(labels=labels)
