"""What the examples are tried with: a network that tells colors apart, and pictures of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeferry
from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import Contract, InputSpec, ResizeRule, SourceInfo

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = ("red", "green", "blue")
SIZE = 8


@dataclass(frozen=True)
class Running:
    """An example that runs, and the files that its output goes to."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def said(self) -> str:
        """Its standard output so far."""
        return self.out.read_text()

    def complained(self) -> str:
        """Its standard error so far."""
        return self.err.read_text()

    def stop(self, number: int) -> int:
        """Send a signal; give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start an example: its file's name, its arguments; variables by keyword."""
    started: list[Running] = []

    def begin(name: str, *arguments: object, **variables: str) -> Running:
        running = start_example(tmp_path, name, *arguments, **variables)
        started.append(running)
        return running

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def start_example(folder: Path, name: str, *arguments: object, **variables: str) -> Running:
    """Start an example, its output going to new files in a folder."""
    number = len(list(folder.glob("*.out")))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, env={**os.environ, **variables}
        )
    return Running(process, out, err)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX artifact: the softmax of a picture's mean red, green and blue."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["color"], keepdims=0),
        helper.make_node("Mul", ["color", "scale"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(LABELS)])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.array(0.03, np.float32), "scale"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_NAME: color_contract().to_json()})
    path = tmp_path_factory.mktemp("artifact") / "colors.fp32.onnx"
    onnx.save(model, path)
    return path


def color_contract() -> Contract:
    """The contract of the network that tells colors apart."""
    return Contract(
        task="classification",
        input=InputSpec(SIZE, SIZE, resize=ResizeRule("squash")),
        classes=len(LABELS),
        labels=LABELS,
        head="softmax",
        precision="fp32",
        recipe="fp32",
        source=SourceInfo("colors", "0" * 64, "none"),
    )


@pytest.fixture(scope="session")
def predictor(artifact: Path) -> Iterator[edgeferry.Predictor]:
    """The artifact, opened here."""
    with edgeferry.load(artifact) as opened:
        yield opened


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of six pictures, each of a color and some noise."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 100, (20, 16, 3), np.uint8)
        pixels[..., number % 3] += 100
        Image.fromarray(pixels).save(folder / f"{number}-{LABELS[number % 3]}.png")
    return folder
