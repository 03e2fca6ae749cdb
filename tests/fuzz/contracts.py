"""Contracts: JSON of every shape, inside an artifact and given beside a foreign one."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import ClassVar

from edgeferry.app.console import show
from edgeferry.app.inspection import Inspection
from edgeferry.app.results import write_document
from edgeferry.app.tables import inspection_tables
from edgeferry.artifact import Artifact, read_contract
from edgeferry.contract import Contract
from edgeferry.given_contract import GivenContract
from edgeferry.runtimes.binding import bind
from edgeferry.runtimes.tensors import Tensors, TensorSpec
from fuzz.shapes import broken_json
from fuzz.target import Target

_GIVEN = {
    "preprocessing": "caffe",
    "task": "classification",
    "head": "logits",
    "labels": ["a", "b", "c"],
    "size": [8, 8],
    "resize": "shorter",
    "crop_ratio": 0.875,
    "interpolation": "bicubic",
    "outputs": {"probabilities": "y"},
}
_TENSORS = Tensors(
    (TensorSpec("x", "float32", (1, 3, 8, 8)),), (TensorSpec("y", "float32", (1, 3)),)
)
_OURS, _TOLD = "ours.json", "given.json"


class Contracts(Target):
    """``Contract.from_json`` and what is shown of it; ``GivenContract`` and what it is bound to."""

    full: ClassVar[int] = 2000
    quick: ClassVar[int] = 300
    memory_mb: ClassVar[int] = 64

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        paths = sorted(artifacts.glob("*.onnx"))
        self._ours = [read_contract(path).to_json().encode() for path in paths]

    def make(self, random: Random, folder: Path) -> str:
        ours = random.random() < 0.6
        whole = random.choice(self._ours) if ours else json.dumps(_GIVEN).encode()
        (folder / (_OURS if ours else _TOLD)).write_bytes(broken_json(whole, random))
        return "one of ours" if ours else "one given"

    def run(self, folder: Path) -> None:
        (path,) = folder.iterdir()
        if path.name == _TOLD:
            bind("net", _TENSORS, GivenContract.from_file(path))
            return
        contract = Contract.from_json(path.read_bytes())
        assert Contract.from_json(contract.to_json()) == contract
        found = Inspection(Artifact(path, "onnx", contract, 1), None, None)
        show(*inspection_tables(found, layers=True))
        write_document(found.document(layers=True), str(folder / "inspect.json"))
