"""The sides that go through edgeferry."""

from __future__ import annotations

from collections.abc import Callable

import edgeferry


def labeled(path: str, threads: int, picture: str) -> Callable[[], object]:
    """A picture file to its five labels."""
    predictor = edgeferry.load(path, threads=threads)
    return lambda: predictor.predict(picture)


def host(path: str, picture: str) -> Callable[[], object]:
    """The same but for the engine."""
    import numpy as np

    from edgeferry.artifact import read_contract
    from edgeferry.contract import PROBABILITIES
    from edgeferry.images import to_input
    from edgeferry.runtimes.tasks import DECODERS, DecodingOptions

    contract = read_contract(path)
    decode = DECODERS[contract.task]
    scores = np.random.default_rng(0).random(contract.classes, np.float32)

    def timed() -> object:
        to_input(picture, contract.input)
        return decode({PROBABILITIES: scores}, contract, DecodingOptions(), None)

    return timed


def decode_and_run(path: str, threads: int, picture: str) -> Callable[[], object]:
    """The limit: Pillow's decoding at the size that is enough, and the bare engine."""
    import engines
    from PIL import Image

    from edgeferry.artifact import read_contract

    side = read_contract(path).input.height * 8 // 7
    run = engines.bare(path, threads)

    def timed() -> object:
        with Image.open(picture) as image:
            image.draft(None, (side * 7 // 5, side * 7 // 5))
            image.load()
        return run()

    return timed
