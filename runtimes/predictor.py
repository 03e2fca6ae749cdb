"""The one call that embeds an artifact in somebody's program."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeferry.artifact import open_artifact, require_contract
from edgeferry.closing import Closing
from edgeferry.contract import Contract
from edgeferry.errors import UsageError
from edgeferry.runtimes.base import Description, Execution, Runtime, RuntimeOptions
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.runtimes.tasks import DECODERS, Prediction

if TYPE_CHECKING:
    from edgeferry.images import ImageLike

Color = Literal["rgb", "bgr"]


def load(
    path: str | Path,
    runtime: str | None = None,
    threads: int | None = None,
    execution: Execution = "float32",
    device: str | None = None,
    settings: Mapping[str, str] | None = None,
    cache: str | Path | None = None,
) -> "Predictor":
    """Open an exported artifact for prediction.

    Args:
        path: The ``.tflite``, ``.onnx`` or ``.xml`` file.
        runtime: Name of the engine; None takes the first one installed for the format.
        threads: Threads for one inference; None is one for each physical core.
        execution: ``float32`` holds float operations to float32; ``auto`` lets the engine
            choose, e.g. bfloat16 on some CPUs.
        device: What the engine runs on: an ONNX Runtime execution provider, a TFLite delegate
            library, an OpenVINO device. None is the CPU.
        settings: Settings of the engine's own, e.g. what ``edgeferry benchmark --tune`` found.
        cache: Folder where the engine keeps what it compiled (OpenVINO, ONNX Runtime), so that
            the next start is faster. Whoever can write there can change what runs.

    Raises:
        ArtifactError: If the file is missing or damaged.
        ContractError: If it was not exported by edgeferry.
        MissingDependencyError: If no engine for it is installed; the message names the extra.
        UsageError: If the runtime or device is unknown, or does not suit, or the cache cannot be.
        EngineError: If the engine refuses it.
    """
    artifact = open_artifact(path)
    contract = require_contract(artifact)
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be 1 or more, not {threads}")
    engine = RUNTIMES.load(choose_runtime(artifact.format, runtime))
    pairs = tuple((settings or {}).items())
    options = RuntimeOptions(
        threads, execution, device, pairs, cache=Path(cache) if cache else None
    )
    return Predictor(engine(artifact.path, contract, options).open())


class Predictor(Closing):
    """Pictures in, predictions out; safe to share between threads.

    A picture is a path, the bytes of an image file, a PIL image, or an array ``[H, W, C]``.
    A uint8 array that already has the network's height, width and channels is taken as
    prepared and goes to the engine untouched; anything else is decoded, turned upright,
    resized and cropped by the rule in the contract.

    Args:
        runtime: An open runtime; the predictor closes it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._guard = nullcontext() if runtime.thread_safe else Lock()

    @property
    def contract(self) -> Contract:
        """What the artifact carries inside: sizes, labels, source, calibration."""
        return self._runtime.contract

    def predict(self, pictures: Any, top_k: int = 5, color: Color = "rgb") -> Any:
        """Name what is on one picture, or on each of several.

        Args:
            pictures: One picture; or a list, tuple, or array ``[N, H, W, C]`` of them.
            top_k: How many answers to give for each.
            color: Channel order of arrays: ``rgb``, or ``bgr`` as OpenCV has it.

        Returns:
            For one picture a list of ``Prediction``, best first; for several a list of these.

        Raises:
            ImageError: If a picture cannot be read or is of no usable shape.
            EngineError: If the engine fails or is closed.
            UsageError: If ``top_k`` or ``color`` cannot be meant.
        """
        if _is_batch(pictures):
            return self._predict_batch(pictures, top_k, color)
        return self._predict_batch([pictures], top_k, color)[0]

    def predict_iter(
        self, pictures: Iterable["ImageLike"], top_k: int = 5, color: Color = "rgb"
    ) -> Iterator[list[Prediction]]:
        """Name what is on each of a stream of pictures, read as the answers are taken.

        No more pictures are held than one inference takes. Arguments and errors are those
        of ``predict``.
        """
        remaining = iter(pictures)
        while batch := list(islice(remaining, self.contract.input.batch or 1)):
            yield from self._predict_batch(batch, top_k, color)

    def predict_proba(self, pictures: Any, color: Color = "rgb") -> NDArray[np.float32]:
        """The raw outputs for one picture or several; arguments and errors as ``predict``.

        Returns:
            float32 ``[classes]`` for one picture, ``[N, classes]`` for several.
        """
        if _is_batch(pictures):
            return self._run(self._prepared(pictures, color))
        return np.asarray(self._run(self._prepared([pictures], color))[0])

    def describe(self) -> Description:
        """Engine, device, threads, and the operations as they are really executed."""
        with self._guard:
            return self._runtime.describe()

    def close(self) -> None:
        """Give back what the engine holds."""
        with self._guard:
            self._runtime.close()

    def _predict_batch(self, pictures: Any, top_k: int, color: Color) -> list[list[Prediction]]:
        if top_k < 1:
            raise UsageError(f"top_k must be 1 or more, not {top_k}")
        decode = DECODERS[self.contract.task]
        return [
            decode(row, self.contract, top_k) for row in self._run(self._prepared(pictures, color))
        ]

    def _prepared(self, pictures: Any, color: Color) -> NDArray[np.uint8]:
        if color not in ("rgb", "bgr"):
            raise UsageError(f"color must be rgb or bgr, not {color!r}")
        if not len(pictures):
            return np.empty((0, *self.contract.input.shape[1:]), np.uint8)
        if isinstance(pictures, np.ndarray) and self._fits(pictures[0]):
            return _as_rgb(pictures, color)
        if len(pictures) == 1:
            return self._prepare(pictures[0], color)[np.newaxis]  # not copied
        return np.stack([self._prepare(picture, color) for picture in pictures])

    def _prepare(self, picture: Any, color: Color) -> NDArray[np.uint8]:
        if isinstance(picture, np.ndarray) and self._fits(picture):
            return _as_rgb(picture, color)
        from edgeferry.images import to_input

        return to_input(picture, self.contract.input, color)

    def _fits(self, picture: NDArray[Any]) -> bool:
        return picture.dtype == np.uint8 and picture.shape == self.contract.input.shape[1:]

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run any number of prepared pictures; the last batch of a fixed size is filled up."""
        size = self.contract.input.batch or max(len(images), 1)
        chunks = [self._infer(images[at : at + size], size) for at in range(0, len(images), size)]
        if not chunks:
            return np.empty((0, self.contract.classes), np.float32)
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def _infer(self, images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        count = len(images)
        if count < size:
            blank = np.zeros((size - count, *images.shape[1:]), np.uint8)
            images = np.concatenate([images, blank])
        with self._guard:
            return self._runtime.infer(images)[self.contract.output_name][:count]


def _is_batch(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim == 4
    return isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes | bytearray)


def _as_rgb(images: NDArray[np.uint8], color: Color) -> NDArray[np.uint8]:
    return images[..., ::-1] if color == "bgr" and images.shape[-1] == 3 else images
