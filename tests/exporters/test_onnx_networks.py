"""The ONNX package's own test networks, in every format as ONNX Runtime answers."""

import os

import light_networks
import numpy as np
import pytest

from edgeferry.preprocessing import preprocess

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("tensorflow")
SMALL = ("squeezenet", "shufflenet", "inception_v1")
CHOSEN = light_networks.NAMES if "EDGEFERRY_ALL_NETWORKS" in os.environ else SMALL
"""All nine are more than one process holds: choose one at a time with -k."""


def answers_of(path, images):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    pictures = preprocess(images, "tf").transpose(0, 3, 1, 2)
    rows = [session.run(None, {taken.name: each[None]})[0] for each in pictures]
    answers = np.concatenate([row.reshape(1, -1) for row in rows])
    if answers.min() >= 0:
        return answers
    powers = np.exp(answers - answers.max(axis=1, keepdims=True))  # it ends in scores
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_every_format_answers_as_onnx_runtime(workbench, draw, tmp_path, name):
    images = draw(224, 224, count=4)
    path = tmp_path / f"{name}.onnx"
    light_networks.write_light(name, preprocess(images, "tf"), path)
    head = "logits" if name == "densenet121" else None
    prepared = workbench.prepare(path, head=head)
    assert prepared.contract.classes == 1000
    workbench.require_agreement(prepared, images, answers_of(path, images))
