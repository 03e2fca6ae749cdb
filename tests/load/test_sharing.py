"""One predictor and many threads or processes: the right answer, or an error that says why."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeferry
from edgeferry.errors import EngineError
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.keras_runtime import KerasRuntime

PROGRAM = Path(__file__).with_name("processes.py")
THREADS = 8
SECONDS = 120


def test_eight_threads_get_the_answers_of_one(artifact, exported):
    files = sorted(exported.pictures.glob("*/*.png"))[::12]
    pictures = [*files, *exported.images[:40]]
    with edgeferry.load(artifact) as predictor:
        alone = [predictor.predict_proba(each) for each in pictures]
        with ThreadPoolExecutor(THREADS) as pool:
            together = list(pool.map(predictor.predict_proba, pictures * 5))
    np.testing.assert_array_equal(together, alone * 5)


def test_closing_while_others_predict_is_an_answer_or_an_error(artifact, exported):
    with edgeferry.load(artifact) as predictor:
        (expected,) = predictor.predict_proba(exported.images[:1])

        def ask(number: int) -> object:
            if number == 100:
                predictor.close()
            try:
                return predictor.predict_proba(exported.images[0])
            except EngineError as error:
                return str(error)

        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(ask, range(200)))
    errors = [each for each in found if isinstance(each, str)]
    answers = [each for each in found if not isinstance(each, str)]
    np.testing.assert_array_equal(answers, [expected] * len(answers))
    assert errors
    assert all("is not open" in each for each in errors)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_its_own_or_is_told(artifacts, exported, tmp_path):
    expected = digests(artifacts, exported.images[:20])
    for child in children("fork", artifacts, exported.images[:20], tmp_path):
        for path, (inherited, own) in child.items():
            assert f"{Path(path).name} was opened in" in inherited
            assert "before this process was forked" in inherited
            if path.endswith(".xml"):
                assert own.startswith("openvino does not run in a child")
            else:
                assert own == expected[path]


def test_tensorflow_is_not_used_after_a_fork(exported, monkeypatch):
    contract = edgeferry.read_contract(exported.folder / "digits.int8.onnx")
    monkeypatch.setattr(KerasRuntime, "_process", os.getpid() + 1)  # as if that had used it
    with pytest.raises(EngineError, match="keras does not run in a child"):
        KerasRuntime(exported.keras_path, contract, RuntimeOptions()).open()


def test_eight_spawned_processes_get_the_answers_of_one(artifacts, exported, tmp_path):
    expected = digests(artifacts, exported.images[:20])
    told = children("spawn", artifacts, exported.images[:20], tmp_path)
    assert told == [{path: [answer] for path, answer in expected.items()}] * 8


def test_a_predictor_is_not_sent_to_another_process(artifact):
    refused = pytest.raises(EngineError, match=r"cannot be sent[^\n]*\nSend the path")
    with edgeferry.load(artifact) as predictor, refused:
        pickle.dumps(predictor)


def digests(artifacts: list[Path], images: np.ndarray) -> dict[str, str]:
    """What a single thread here comes to, by path, with the last picture once more."""
    images = np.concatenate([images, images[-1:]])
    found = {}
    for path in artifacts:
        with edgeferry.load(path, threads=2) as predictor:
            answers = predictor.predict_proba(images)
        found[str(path)] = hashlib.sha256(answers.tobytes()).hexdigest()
    return found


def children(how: str, artifacts: list[Path], images: np.ndarray, folder: Path) -> list[dict]:
    """What eight processes came to; the last picture they read from a file, too."""
    np.save(folder / "images.npy", images)
    Image.fromarray(images[-1].squeeze()).save(folder / "images.png")
    command = [sys.executable, "-W", "ignore", PROGRAM, how, folder / "images.npy", *artifacts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 8
    return told
