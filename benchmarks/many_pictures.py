"""One run over many pictures; prints seconds (``evaluate``) or pictures a second (``bare``)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def evaluate(path: str, folder: str) -> float:
    """Seconds that ``evaluate`` takes, opening the engines included."""
    from edgeferry.app.evaluation import evaluate as run
    from edgeferry.app.judge import EvaluationOptions

    started = time.perf_counter()
    run([path], EvaluationOptions(images=Path(folder)))
    return time.perf_counter() - started


def bare(path: str, count: int) -> float:
    """Pictures a second of the bare engine on decoded pictures, the fastest of some ways."""
    import numpy as np

    pictures = np.random.default_rng(0).integers(0, 256, (8, 1, 224, 224, 3), np.uint8)
    started_with = []
    for threads, streams in ((1, 2), (2, 1)):
        run = (
            _openvino(path, streams) if path.endswith(".xml") else _threads(path, threads, streams)
        )
        run(pictures, 32)
        started = time.perf_counter()
        run(pictures, count // 2)
        started_with.append(count // 2 / (time.perf_counter() - started))
    return max(started_with)


def _openvino(path: str, streams: int):  # type: ignore[no-untyped-def]
    import openvino as ov

    told = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": 2}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(path, "CPU", told), 2 * streams)

    def run(pictures, count):  # type: ignore[no-untyped-def]
        for number in range(count):
            queue.start_async({0: pictures[number % len(pictures)]})
        queue.wait_all()

    return run


def _threads(path: str, threads: int, engines: int):  # type: ignore[no-untyped-def]
    from concurrent.futures import ThreadPoolExecutor

    from engines import opened

    runs = [opened(path, threads) for _ in range(engines)]

    def run(pictures, count):  # type: ignore[no-untyped-def]
        def work(own):  # type: ignore[no-untyped-def]
            for number in range(count // engines):
                own(pictures[number % len(pictures)])

        with ThreadPoolExecutor(engines) as pool:
            list(pool.map(work, runs))

    return run


if __name__ == "__main__":
    print({"evaluate": evaluate, "bare": bare}[sys.argv[1]](**json.loads(sys.argv[2])))
