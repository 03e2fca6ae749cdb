"""Several engines side by side: the same answers, in the same order, and no more of them."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from edgeferry.app import engine_pool
from edgeferry.app.answer_store import AnswerStore
from edgeferry.app.engine_pool import EnginePool, fastest_jobs, in_order
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.subjects import Subject
from edgeferry.runtimes.base import Description, Runtime, RuntimeOptions

GIB = 2**30


@pytest.fixture
def subject(tmp_path, contract):
    return Subject(tmp_path / "net.onnx", "onnx", contract, GIB // 10)


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be another machine."""

    def pretend(cores, free=None):
        monkeypatch.setattr(engine_pool, "physical_cores", lambda: cores)
        monkeypatch.setattr(engine_pool, "available_memory", lambda: free)

    return pretend


@pytest.fixture
def engines(monkeypatch):
    """The engines that are open; two answer at the same time or never."""
    opened, together = [], threading.Barrier(2, timeout=30)

    class Twin(Runtime):
        name = "twin"

        def _open(self):
            opened.append(self)

        def _infer(self, images):
            together.wait()
            color = images.mean(axis=(1, 2), dtype=np.float32)
            return {"probabilities": np.concatenate([color, color], axis=1)}

        def _close(self):
            opened.remove(self)

        def _describe(self):
            return Description("twin", "1", "cpu", 1, ())

    class Registry:
        def load(self, name):
            return Twin

    monkeypatch.setattr(engine_pool, "RUNTIMES", Registry())
    return opened


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_figures_do_not_depend_on_the_number_of_engines(
    jobs, tmp_path, pictures, matrix, write_network
):
    other = matrix + np.random.default_rng(2).normal(0, 0.01, matrix.shape).astype(np.float32)
    paths = [
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
        write_network(tmp_path / "colors.int8.onnx", "int8", other),
    ]
    (pictures / "blue" / "1.png").write_bytes(b"no picture")
    (pictures / "red" / "2.png").write_bytes(b"no picture")
    default = evaluate(paths, EvaluationOptions(pictures)).document()
    assert evaluate(paths, EvaluationOptions(pictures, jobs=jobs)).document() == default
    assert "blue" in default["warnings"][0]


def test_progress_counts_every_picture_in_order(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    (pictures / "violet" / "3.png").write_bytes(b"no picture")
    told = []
    evaluate(
        [path], EvaluationOptions(pictures, jobs=2), lambda step, done, total: told.append(done)
    )
    assert told == [8, 16, 20]


def test_engines_answer_side_by_side_and_are_closed(subject, engines):
    images = [np.full((1, 8, 8, 3), value, np.uint8) for value in range(1, 7)]
    with EnginePool(subject, "twin", RuntimeOptions(), 2) as pool:
        assert len(engines) == 2
        found = list(in_order(pool.predict_proba, images, 3))
    assert [float(each[0, 0]) for each in found] == [1, 2, 3, 4, 5, 6]
    assert engines == []


def test_an_engine_that_threads_may_share_is_opened_once(subject, engines, machine):
    machine(cores=4)
    engine_pool.RUNTIMES.load("twin").thread_safe = True
    images = [np.full((1, 8, 8, 3), value, np.uint8) for value in range(1, 7)]
    with EnginePool(subject, "twin", RuntimeOptions(), 2) as pool:
        (engine,) = engines
        assert engine.options.streams == 2
        assert engine.options.thread_count() == 2
        found = list(in_order(pool.predict_proba, images, 2))
    assert [float(each[0, 0]) for each in found] == [1, 2, 3, 4, 5, 6]
    assert engines == []


def test_engines_share_out_the_cores(subject, engines, machine):
    machine(cores=8)
    with EnginePool(subject, "twin", RuntimeOptions(), 4):
        assert {each.options.thread_count() for each in engines} == {2}
    with EnginePool(subject, "twin", RuntimeOptions(threads=1), 4):
        assert {each.options.thread_count() for each in engines} == {1}
    with EnginePool(subject, "twin", RuntimeOptions(), 1):
        assert {each.options for each in engines} == {RuntimeOptions()}


@pytest.mark.parametrize(
    ("cores", "free", "threads", "jobs"),
    [
        (1, None, None, 1),
        (2, None, None, 2),
        (16, 64 * GIB, None, 4),
        (4, 4 * GIB, None, 4),
        (4, GIB, None, 1),
        (4, GIB // 8, None, 1),
        (4, None, 2, 2),
        (4, None, 8, 1),
    ],
)
def test_engines_are_as_many_as_cores_and_memory_bear(cores, free, threads, jobs, subject, machine):
    machine(cores, free)
    assert fastest_jobs(subject, RuntimeOptions(threads)) == jobs


def test_trained_models_and_other_devices_get_one_engine(subject, machine):
    machine(cores=4)
    assert fastest_jobs(replace(subject, format="keras"), RuntimeOptions()) == 1
    assert fastest_jobs(subject, RuntimeOptions(device="GPU")) == 1


def test_no_more_is_made_ahead_than_a_few_for_each_worker():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    for number, made in enumerate(in_order(lambda each: each * each, items(), 3)):
        assert made == number * number
        assert len(taken) - number <= 6


def test_failure_of_one_item_ends_the_rest():
    started = []

    def work(number):
        started.append(number)
        if number == 1:
            raise ValueError("one")
        return number

    with pytest.raises(ValueError, match="one"):
        list(in_order(work, range(1000), 2))
    assert len(started) < 10


def test_kept_answers_are_read_back_by_position(tmp_path):
    answers = np.random.default_rng(0).random((7, 5), np.float32)
    store = AnswerStore(tmp_path / "answers", 5)
    store.write([4, 6], answers[[4, 6]])
    store.write([0, 1], answers[:2])
    np.testing.assert_array_equal(store.read([1, 4]), answers[[1, 4]])
    np.testing.assert_array_equal(store.read([6, 0]), answers[[6, 0]])
