"""One artifact open in several engines, to use all cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeferry.app.accuracy import Probabilities
from edgeferry.app.subjects import Subject
from edgeferry.closing import Closing
from edgeferry.devices.machine import available_memory
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import Predictor
from edgeferry.runtimes.registry import RUNTIMES
from edgeferry.threads import physical_cores

_MOST = 4
"""Engines unasked: each holds the weights. On more cores each gets several threads."""
_HELD = 3
"""Memory that an engine takes, in sizes of its artifact: a ResNet50 takes 1.6 to 2.9."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def fastest_jobs(subject: Subject, options: RuntimeOptions, cores: int | None = None) -> int:
    """How many engines side by side give most pictures in a second.

    One for each core, with one thread each: no thread waits for another. Measured on two cores,
    ONNX Runtime then took 0.6 of the processor time, LiteRT and OpenVINO about the same.

    Args:
        subject: What they shall run; a trained model is run by one.
        options: Threads and device, where they are given.
        cores: How many may be used; None is all.

    Returns:
        As many as there are cores for, and as fit in half of the free memory; 4 at most.
    """
    if subject.format == "keras" or options.device is not None:
        return 1
    wanted = min(_MOST, (cores or physical_cores()) // (options.threads or 1))
    free = available_memory()
    if free is not None and subject.size_bytes:
        wanted = min(wanted, free // 2 // (_HELD * subject.size_bytes))
    return max(1, wanted)


class EnginePool(Closing):
    """Engines of one artifact, from any thread; one that threads may share is opened once.

    Args:
        subject: The artifact, or a trained model.
        runtime: Name of the engine.
        options: How to run it; where threads are left open, the cores are shared out.
        jobs: Number of batches at a time.
        cores: How many to share out; None is all. Given, others may be at work on the rest.

    Attributes:
        spec: What the engines take.
    """

    def __init__(
        self,
        subject: Subject,
        runtime: str,
        options: RuntimeOptions,
        jobs: int,
        cores: int | None = None,
    ) -> None:
        self.spec = subject.contract.input
        engine = RUNTIMES.load(runtime)
        shared = engine.thread_safe
        if jobs > 1 or cores is not None:
            threads = options.threads or max(1, (cores or physical_cores()) // jobs)
            options = replace(options, threads=threads, streams=jobs if shared else 1)
        if cores is not None and "pinning" in engine.settings:
            # OpenVINO pins the threads of each process to the same first cores.
            options = replace(options, settings=(("pinning", "off"), *options.settings))
        self._free: SimpleQueue[Predictor] = SimpleQueue()
        with ExitStack() as opened:
            for _ in range(1 if shared else jobs):
                predictor = Predictor(engine(subject.path, subject.contract, options).open())
                opened.enter_context(predictor)
                for _ in range(jobs if shared else 1):
                    self._free.put(predictor)
            self._opened = opened.pop_all()

    def predict_proba(self, images: NDArray[np.uint8]) -> Probabilities:
        """Answer a batch of prepared pictures, as soon as an engine is free.

        Args:
            images: uint8 ``[N, H, W, C]``.

        Returns:
            float32 ``[N, classes]``.
        """
        predictor = self._free.get()
        try:
            return predictor.predict_proba(images)
        finally:
            self._free.put(predictor)

    def close(self) -> None:
        """Close the engines; none may be at work any more."""
        self._opened.close()


def in_order(work: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[Made]:
    """What threads make of some items, in the items' order; two for each worker are held."""
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) == 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
