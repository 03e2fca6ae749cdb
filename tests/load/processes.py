"""Eight processes that predict: ``processes.py fork|spawn IMAGES.npy ARTIFACT...``.

Prints, as JSON, what each child came to by artifact: what the predictor of its parent gave there,
and what one of its own: the digest of the answers, or the error. After the images comes the
picture in the PNG file beside them.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import numpy as np

import edgeferry

CHILDREN = 8
Told = dict[str, list[str]]
Pictures = Sequence[np.ndarray | Path]


def digest(predictor: edgeferry.Predictor, images: Pictures) -> str:
    """SHA-256 of the answers to some pictures; an error's text."""
    try:
        return hashlib.sha256(predictor.predict_proba(images).tobytes()).hexdigest()
    except edgeferry.EdgeferryError as error:
        return str(error)


def own(artifacts: Sequence[str], images: Pictures) -> Told:
    """Open each artifact here and ask it."""
    return {path: [_opened(path, images)] for path in artifacts}


def _opened(path: str, images: Pictures) -> str:
    try:
        with edgeferry.load(path, threads=2) as predictor:
            return digest(predictor, images)
    except edgeferry.EdgeferryError as error:
        return str(error)


def inherited(predictors: dict[str, edgeferry.Predictor], images: Pictures) -> Told:
    """Ask what the parent opened, close it, and then open the artifacts here."""
    seen = {path: digest(predictor, images) for path, predictor in predictors.items()}
    for each in predictors.values():
        each.close()
    return {path: [seen[path], *told] for path, told in own(list(predictors), images).items()}


def forked(artifacts: Sequence[str], images: Pictures) -> list[Told]:
    """Fork while threads of this process are at work with its predictors."""
    over = Event()

    def work(predictor: edgeferry.Predictor) -> None:
        while not over.is_set():
            predictor.predict_proba(images)

    with ExitStack() as stack:
        predictors = {
            path: stack.enter_context(edgeferry.load(path, threads=2)) for path in artifacts
        }
        for each in predictors.values():  # Python hangs in what was being imported at the fork
            digest(each, images)
        pool = stack.enter_context(ThreadPoolExecutor())
        stack.callback(over.set)
        for each in predictors.values():
            pool.submit(work, each)
        return [_child(predictors, images) for _ in range(CHILDREN)]


def _child(predictors: dict[str, edgeferry.Predictor], images: Pictures) -> Told:
    """A child that ends like any program: what it has from its parent is freed then."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.close(reading)
        with os.fdopen(writing, "w") as told:
            json.dump(inherited(predictors, images), told)
        sys.exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        answer: Told = json.load(told)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"a child ended with {status}"
    return answer


def spawned(artifacts: Sequence[str], images: Pictures) -> list[Told]:
    """Open the artifacts in processes of their own, all at once."""
    with multiprocessing.get_context("spawn").Pool(CHILDREN) as pool:
        return pool.starmap(own, [(artifacts, images)] * CHILDREN, chunksize=1)


if __name__ == "__main__":
    how, file, *paths = sys.argv[1:]
    pictures = [*np.load(file), Path(file).with_suffix(".png")]
    print(json.dumps({"fork": forked, "spawn": spawned}[how](paths, pictures)))
