"""The one call that embeds an artifact in somebody's program."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeferry.artifact import Artifact, open_artifact, require_contract
from edgeferry.closing import Closing
from edgeferry.contract import Contract
from edgeferry.errors import ContractError, EngineError, UsageError
from edgeferry.runtimes.base import Description, Execution, Runtime, RuntimeOptions
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.runtimes.tasks import DECODERS, PLACED, DecodingOptions

if TYPE_CHECKING:
    from edgeferry.given_contract import GivenContract
    from edgeferry.images import ImageLike
    from edgeferry.runtimes.binding import Binding
    from edgeferry.views import View

    Given = GivenContract | Mapping[str, Any] | str | Path

Color = Literal["rgb", "bgr"]
_ALL = "predict_outputs gives them all"


def load(
    path: str | Path,
    runtime: str | None = None,
    threads: int | None = None,
    execution: Execution = "float32",
    device: str | None = None,
    settings: Mapping[str, str] | None = None,
    cache: str | Path | None = None,
    contract: "Given | None" = None,
) -> "Predictor":
    """Open an exported artifact for prediction, or a model of another maker.

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
        contract: For a file that carries none: what is to know of it, or the JSON file that
            tells; see ``GivenContract``. Its preprocessing is done on the host then.

    Raises:
        ArtifactError: If the file is missing or damaged.
        ContractError: If it was not exported by edgeferry and no contract is given, or the one
            given does not suit it.
        MissingDependencyError: If no engine for it is installed; the message names the extra.
        UsageError: If the runtime or device is unknown, or does not suit, or the cache cannot be.
        EngineError: If the engine refuses it.
    """
    artifact = open_artifact(path)
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be 1 or more, not {threads}")
    engine = RUNTIMES.load(choose_runtime(artifact.format, runtime))
    pairs = tuple((settings or {}).items())
    options = RuntimeOptions(
        threads, execution, device, pairs, cache=Path(cache) if cache else None
    )
    own, binding = contract_of(artifact, contract, engine)
    return Predictor(engine(artifact.path, own, options, binding).open())


def contract_of(
    artifact: Artifact,
    given: "Given | None",
    engine: type[Runtime],
) -> "tuple[Contract, Binding | None]":
    """The contract inside an artifact, or else the one that the user gives.

    Raises:
        ContractError: If there is none, or both, or the one given does not suit the file.
        EngineError: If the engine refuses the file.
    """
    if given is None:
        return require_contract(artifact), None
    from edgeferry.given_contract import GivenContract
    from edgeferry.runtimes.binding import bind

    if artifact.contract is not None:
        raise ContractError(f"{artifact.path} carries a contract of its own", "Give none")
    if isinstance(given, str | Path):
        given = GivenContract.from_file(Path(given))
    elif not isinstance(given, GivenContract):
        given = GivenContract.from_dict(given)
    return bind(artifact.path.stem, engine.tensors(artifact.path), given)


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

    @property
    def contract(self) -> Contract:
        """What the artifact carries inside: sizes, labels, source, calibration."""
        return self._runtime.contract

    def predict(
        self,
        pictures: Any,
        top_k: int = 5,
        color: Color = "rgb",
        least_score: float = 0.25,
        overlap: float = 0.45,
    ) -> Any:
        """Tell what is on one picture, or on each of several.

        Args:
            pictures: One picture; or a list, tuple, or array ``[N, H, W, C]`` of them.
            top_k: How many answers a classifier gives for each.
            color: Channel order of arrays: ``rgb``, or ``bgr`` as OpenCV has it.
            least_score: What a detector is less sure of is dropped.
            overlap: Intersection over union above which two boxes of a class are the same.

        Returns:
            By task, for one picture; for several a list of these. Classification: a list of
            ``Prediction``, best first. Segmentation: a ``Mask``. Detection: a list of
            ``Detection``, the surest first. Embedding: float32 ``[length]``. Raw: a dict of
            float32 arrays by the names of the outputs.

        Raises:
            ImageError: If a picture cannot be read or is of no usable shape.
            EngineError: If the engine fails or is closed.
            UsageError: If ``top_k``, a share or ``color`` cannot be meant.
        """
        options = _decoding(top_k, least_score, overlap)
        if _is_batch(pictures):
            return self._predict_batch(pictures, options, color)
        return self._predict_batch([pictures], options, color)[0]

    def predict_iter(
        self,
        pictures: Iterable["ImageLike"],
        top_k: int = 5,
        color: Color = "rgb",
        least_score: float = 0.25,
        overlap: float = 0.45,
    ) -> Iterator[Any]:
        """Tell what is on each of a stream of pictures, read as the answers are taken.

        No more pictures are held than one inference takes. Arguments and errors are those
        of ``predict``.
        """
        options = _decoding(top_k, least_score, overlap)
        remaining = iter(pictures)
        while batch := list(islice(remaining, self.contract.input.batch or 1)):
            yield from self._predict_batch(batch, options, color)

    def predict_proba(self, pictures: Any, color: Color = "rgb") -> NDArray[np.float32]:
        """The one output for one picture or several; arguments and errors as ``predict``.

        Returns:
            Of a classifier float32 ``[classes]`` for one picture, ``[N, classes]`` for several;
            of other tasks whatever shape the contract tells.
        """
        (name, *others) = self.contract.output_names
        if others:
            raise UsageError(f"there are several outputs: {name}, {', '.join(others)}", _ALL)
        return np.asarray(self.predict_outputs(pictures, color)[name])

    def predict_outputs(
        self, pictures: Any, color: Color = "rgb"
    ) -> dict[str, NDArray[np.float32]]:
        """All outputs for one picture or several; arguments and errors as ``predict``.

        Returns:
            float32 arrays by name; for several pictures they come one after another along the
            first axis.
        """
        if _is_batch(pictures):
            return self._run(self._prepared(pictures, color))
        outputs = self._run(self._prepared([pictures], color))
        return {name: output[0] for name, output in outputs.items()}

    def describe(self) -> Description:
        """Engine, device, threads, and the operations as they are really executed."""
        with self._runtime.turns:
            return self._runtime.describe()

    def close(self) -> None:
        """Give back what the engine holds."""
        with self._runtime.turns:
            self._runtime.close()

    def _predict_batch(self, pictures: Any, options: DecodingOptions, color: Color) -> list[Any]:
        decode = DECODERS[self.contract.task]
        views: list[View | None] = [None] * len(pictures)
        if self.contract.task in PLACED:
            images, views = self._viewed(pictures, color)
        else:
            images = self._prepared(pictures, color)
        outputs = self._run(images)
        return [
            decode({name: each[at] for name, each in outputs.items()}, self.contract, options, view)
            for at, view in enumerate(views)
        ]

    def _viewed(self, pictures: Any, color: Color) -> tuple[NDArray[np.uint8], list["View | None"]]:
        """Pictures for the network, and what part of each that is."""
        if isinstance(pictures, np.ndarray):
            pictures = list(pictures)
        if any(not (isinstance(each, np.ndarray) and self._fits(each)) for each in pictures):
            from edgeferry.images import to_input_and_view

            spec = self.contract.input
            found = [to_input_and_view(picture, spec, color) for picture in pictures]
            return np.stack([image for image, _ in found]), [view for _, view in found]
        return self._prepared(pictures, color), [None] * len(pictures)

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

    def _run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run any number of prepared pictures; the last batch of a fixed size is filled up."""
        size = self.contract.input.batch or max(len(images), 1)
        chunks = [self._infer(images[at : at + size], size) for at in range(0, len(images), size)]
        if not chunks:
            outputs = self.contract.outputs
            return {output.name: np.empty((0, *output.shape), np.float32) for output in outputs}
        if len(chunks) == 1:
            return chunks[0]
        return {name: np.concatenate([each[name] for each in chunks]) for name in chunks[0]}

    def _infer(self, images: NDArray[np.uint8], size: int) -> dict[str, NDArray[np.float32]]:
        count = len(images)
        if count < size:
            blank = np.zeros((size - count, *images.shape[1:]), np.uint8)
            images = np.concatenate([images, blank])
        with self._runtime.turns:
            outputs = self._runtime.infer(images)
        self._check(outputs, count)
        return {name: output[:count] for name, output in outputs.items()}

    def _check(self, outputs: Mapping[str, NDArray[np.float32]], count: int) -> None:
        for output in self.contract.outputs:
            shape = outputs[output.name].shape
            if shape[1:] != output.shape or shape[:1] < (count,):
                raise EngineError(
                    f"{self._runtime.path.name} gives {output.name} {list(shape)}, "
                    f"not {[count, *output.shape]} as its contract says"
                )


def _decoding(top_k: int, least_score: float, overlap: float) -> DecodingOptions:
    if top_k < 1:
        raise UsageError(f"top_k must be 1 or more, not {top_k}")
    for name, share in (("least_score", least_score), ("overlap", overlap)):
        if not 0 <= share <= 1:
            raise UsageError(f"{name} must be from 0 to 1, not {share}")
    return DecodingOptions(top_k, least_score, overlap)


def _is_batch(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim == 4
    return isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes | bytearray)


def _as_rgb(images: NDArray[np.uint8], color: Color) -> NDArray[np.uint8]:
    return images[..., ::-1] if color == "bgr" and images.shape[-1] == 3 else images
