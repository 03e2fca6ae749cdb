"""The predictor over an engine made of numpy: shapes, batches, order, threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeferry.contract import Contract, InputSpec, SourceInfo
from edgeferry.errors import EngineError, UsageError
from edgeferry.runtimes.base import Description, Runtime, RuntimeOptions
from edgeferry.runtimes.predictor import Predictor, load
from edgeferry.runtimes.results import Prediction
from edgeferry.runtimes.tasks import DecodingOptions, decode_classification

CLASSES = 4
LABELS = ("ant", "bee", "cat", "dog")


def contract_of(batch: int | None = 1, labels=LABELS) -> Contract:
    return Contract(
        task="classification",
        input=InputSpec(2, 2, batch=batch),
        classes=CLASSES,
        labels=labels,
        head="softmax",
        precision="fp32",
        recipe="fp32",
        source=SourceInfo("fake", "0" * 64, "none"),
    )


class FakeRuntime(Runtime):
    """Its scores are the picture's first four bytes over 255; it records its batches."""

    name = "fake"

    def _open(self):
        self.batches, self.inside, self.most_inside = [], 0, 0

    def _infer(self, images):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.batches.append(len(images))
        scores = images.reshape(len(images), -1)[:, :CLASSES].astype(np.float32) / 255
        threading.Event().wait(0)  # lets another thread in, if any may
        self.inside -= 1
        return {"probabilities": scores}

    def _close(self):
        self.batches = None

    def _describe(self):
        return Description("fake", "1", "numpy", 1, ())


def predictor_of(batch: int | None = 1, labels=LABELS) -> Predictor:
    runtime = FakeRuntime(Path("fake"), contract_of(batch, labels), RuntimeOptions())
    return Predictor(runtime.open())


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (7, 2, 2, 3), np.uint8)


def expected(pictures):
    return pictures.reshape(len(pictures), -1)[:, :CLASSES].astype(np.float32) / 255


def test_one_picture_gives_one_list(pictures):
    scores = expected(pictures)[0]
    answers = predictor_of().predict(pictures[0], top_k=2)
    order = np.argsort(-scores)[:2]
    assert answers == [Prediction(LABELS[i], int(i), float(scores[i])) for i in order]
    assert predictor_of().predict_proba(pictures[0]).tolist() == scores.tolist()


@pytest.mark.parametrize("kind", [list, tuple, np.asarray])
def test_several_give_a_list_of_lists(pictures, kind):
    predictor = predictor_of()
    answers = predictor.predict(kind(pictures), top_k=1)
    assert [row[0].index for row in answers] == expected(pictures).argmax(axis=1).tolist()
    np.testing.assert_array_equal(predictor.predict_proba(kind(pictures)), expected(pictures))


@pytest.mark.parametrize(("batch", "runs"), [(1, [1] * 7), (3, [3, 3, 3]), (None, [7])])
def test_batches_are_cut_and_the_last_is_filled_up(pictures, batch, runs):
    predictor = predictor_of(batch)
    np.testing.assert_array_equal(predictor.predict_proba(pictures), expected(pictures))
    assert predictor._runtime.batches == runs


@pytest.mark.parametrize("batch", [1, 3, None])
def test_no_pictures_give_no_answers(pictures, batch):
    predictor = predictor_of(batch)
    for nothing in ([], pictures[:0]):
        assert predictor.predict(nothing) == []
        assert predictor.predict_proba(nothing).shape == (0, CLASSES)


def test_a_stream_is_read_as_its_answers_are_taken(pictures):
    taken = []
    stream = (taken.append(index) or picture for index, picture in enumerate(pictures))
    answers = predictor_of(3).predict_iter(stream, top_k=1)
    assert taken == []
    next(answers)
    assert taken == [0, 1, 2]
    assert len(list(answers)) == 6


def test_bgr_is_turned_round(pictures):
    predictor = predictor_of()
    for given in (pictures, list(pictures), pictures[0]):
        flipped = [p[..., ::-1] for p in given] if isinstance(given, list) else given[..., ::-1]
        expected_rows = predictor.predict_proba(given)
        np.testing.assert_array_equal(predictor.predict_proba(flipped, "bgr"), expected_rows)


def test_equal_scores_come_in_the_order_of_classes():
    scores = np.array([0.1, 0.4, 0.1, 0.4], np.float32)
    rows = decode_classification({"probabilities": scores}, contract_of(), DecodingOptions(3))
    assert [row.index for row in rows] == [1, 3, 0]
    all_of_them = decode_classification(
        {"probabilities": scores}, contract_of(), DecodingOptions(99)
    )
    assert len(all_of_them) == CLASSES


def test_without_labels_the_number_is_the_label(pictures):
    first = predictor_of(labels=None).predict(pictures[0], top_k=1)[0]
    assert first.label == str(first.index)


@pytest.mark.parametrize("arguments", [{"top_k": 0}, {"color": "cmyk"}])
def test_what_cannot_be_meant(pictures, arguments):
    with pytest.raises(UsageError, match=next(iter(arguments))):
        predictor_of().predict(pictures[0], **arguments)


def test_an_engine_that_is_not_thread_safe_is_entered_by_one_at_a_time(pictures):
    predictor = predictor_of()
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(predictor.predict_proba, [pictures[i % 7] for i in range(200)]))
    np.testing.assert_array_equal(rows, expected(pictures)[np.arange(200) % 7])
    assert predictor._runtime.most_inside == 1


def test_errors_cost_no_turn(monkeypatch):
    """Else close() would wait for good in the end."""
    monkeypatch.setattr(FakeRuntime, "thread_safe", True)
    predictor = predictor_of()
    for _ in range(100):
        with pytest.raises(TimeoutError), predictor._runtime.turns:
            raise TimeoutError
    closing = threading.Thread(target=predictor.close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()


def test_a_closed_predictor_says_so(pictures):
    with predictor_of() as predictor:
        assert predictor.describe().engine == "fake"
        assert replace(predictor.contract, labels=None).classes == CLASSES
    predictor.close()
    with pytest.raises(EngineError, match="not open"):
        predictor.predict(pictures[0])


def test_load_opens_a_file(tiny, pictures):
    pytest.importorskip("onnxruntime")
    artifact = tiny(".onnx")
    picture = np.random.default_rng(1).integers(0, 256, artifact.contract.input.shape, np.uint8)
    with load(str(artifact.path), threads=1) as predictor:
        np.testing.assert_allclose(
            predictor.predict_proba(picture), artifact.reference(picture), atol=1e-5
        )
    with pytest.raises(UsageError, match="threads"):
        load(artifact.path, threads=0)


@pytest.mark.parametrize("classes", [2, 5, 0])
def test_a_contract_that_disagrees_with_its_model_is_an_error(pictures, classes):
    contract = replace(contract_of(), classes=classes, labels=None)
    with Predictor(FakeRuntime(Path("fake"), contract, RuntimeOptions()).open()) as predictor:
        for ask in (predictor.predict, predictor.predict_outputs):
            with pytest.raises(EngineError, match=rf"\[1, 4\], not \[1, {classes}\]"):
                ask(pictures[0])
