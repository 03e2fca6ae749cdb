"""Streams of pictures: a source that fails, and one that is faster than who takes the answers."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import edgeferry
from edgeferry.app.crew import Threads
from edgeferry.app.engine_pool import in_order

BROKEN = 5


class CameraError(RuntimeError):
    """What the source of the pictures raises."""


def test_an_error_of_the_source_comes_through_and_leaves_nothing(artifact, exported):
    held: list[weakref.ref] = []

    def camera():
        for image in exported.images[:BROKEN]:
            frame = image.copy()
            held.append(weakref.ref(frame))
            yield frame
        raise CameraError("unplugged")

    with edgeferry.load(artifact) as predictor:
        expected = [predictor.predict(each) for each in exported.images[:BROKEN]]
        threads, answers = threading.active_count(), []
        for _ in range(3):
            with pytest.raises(CameraError, match="unplugged"):
                answers += predictor.predict_iter(camera())
        assert answers == expected * 3
        assert threading.active_count() == threads
        gc.collect()
        # OpenVINO's request keeps the last picture until the next one.
        assert sum(each() is not None for each in held) <= 1
        assert predictor.predict(exported.images[0]) == expected[0]


def test_a_source_is_not_read_ahead_of_who_takes_the_answers(artifact, exported):
    read: list[int] = []
    source = (read.append(number) or image for number, image in enumerate(exported.images[:20]))
    with edgeferry.load(artifact) as predictor:
        for taken, _ in enumerate(predictor.predict_iter(source)):
            assert read == list(range(taken + 1))


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_hold_two_items_each_however_slow_the_answers_are_taken(workers):
    read: list[int] = []
    source = (read.append(number) or number for number in range(50))
    for taken, _ in enumerate(in_order(lambda item: item, source, workers), 1):
        assert len(read) < taken + 2 * workers


def test_an_error_of_the_pictures_ends_the_threads_of_an_evaluation():
    class Nothing:
        paths = packages = ()

        def opened(self, paths, cores=None):
            return memoryview(b"")  # any context manager

    def items():
        yield from range(BROKEN)
        raise CameraError("unplugged")

    before = threading.active_count()
    with pytest.raises(CameraError, match="unplugged"):
        list(Threads(2).map(lambda opened, item: np.sqrt(item), Nothing(), items()))
    assert threading.active_count() == before
