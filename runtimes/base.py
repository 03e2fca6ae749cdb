"""The one contract that every inference engine is driven through."""

import os
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from edgeferry.closing import Closing
from edgeferry.contract import INPUT_NAME, Contract
from edgeferry.errors import (
    EdgeferryError,
    EngineError,
    ImageError,
    UsageError,
    reason_of,
    was_interrupted,
)
from edgeferry.integrity import check_whole
from edgeferry.operations import WEIGHTED_KINDS
from edgeferry.progress import logger
from edgeferry.runtimes.forks import never_free, watch
from edgeferry.runtimes.layer_times import LayerTime
from edgeferry.runtimes.tensors import Tensors
from edgeferry.runtimes.turns import inferences_at_once, turns_of
from edgeferry.threads import physical_cores

if TYPE_CHECKING:
    from edgeferry.runtimes.binding import Binding

_log = logger(__name__)
Execution = Literal["float32", "auto"]
Settings = tuple[tuple[str, str], ...]
"""Settings of an engine's own, as pairs of name and value."""


@dataclass(frozen=True)
class RuntimeOptions:
    """How an engine shall run.

    Attributes:
        threads: Threads for one inference; None is one for each physical core it may use.
        execution: ``float32`` holds float operations to float32; ``auto`` lets the engine
            choose, e.g. bfloat16 on some CPUs.
        device: What the engine runs on: an ONNX Runtime execution provider, a TFLite delegate
            library, an OpenVINO device. None is the CPU.
        settings: Settings of the engine's own; each engine lists what it knows in
            ``Runtime.settings``.
        streams: Inferences side by side, each with its threads, where threads share an engine.
        cache: Folder where the engine keeps what it compiled, for a faster next start; None
            keeps nothing. TFLite's interpreters compile nothing that they could keep.
    """

    threads: int | None = None
    execution: Execution = "float32"
    device: str | None = None
    settings: Settings = ()
    streams: int = 1
    cache: Path | None = None

    def thread_count(self) -> int:
        """The number of threads to ask of the engine."""
        return self.threads or physical_cores()


@dataclass(frozen=True)
class Operation:
    """One operation of the graph that the engine really executes.

    Attributes:
        name: The engine's name for it.
        type: The engine's own type, e.g. ``QLinearConv``.
        kind: The same in common terms, e.g. ``Conv``.
        precision: What it computes in: ``int8``, ``fp16``, ``bf16``, ``fp32``, or ``other``.
        fused: Kinds of the operations fused into it, e.g. ``("Add", "Relu")``.
    """

    name: str
    type: str
    kind: str
    precision: str
    fused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What runs, and how.

    Attributes:
        engine: Name of the engine.
        version: Its version.
        device: Execution provider, delegate or device in use.
        threads: Threads it was given.
        operations: The executed graph, in order where the engine tells it.
    """

    engine: str
    version: str
    device: str
    threads: int
    operations: tuple[Operation, ...]

    @property
    def executed(self) -> str:
        """The precision that the weighted operations (convolutions, matrix products) ran in."""
        weighted = [op for op in self.operations if op.kind in WEIGHTED_KINDS]
        counts = Counter(op.precision for op in weighted or self.operations)
        return counts.most_common(1)[0][0] if counts else "unknown"

    def ops(self) -> list[dict[str, Any]]:
        """Operations counted by kind and precision; fused ones are rows of their own."""
        counts: Counter[tuple[str, str, bool]] = Counter()
        for op in self.operations:
            counts[op.kind, op.precision, False] += 1
            counts.update((kind, op.precision, True) for kind in op.fused)
        return [
            {"op": kind, "precision": precision, "fused": fused, "count": count}
            for (kind, precision, fused), count in counts.items()
        ]


class Runtime(Closing):
    """An engine with one artifact open in it.

    The public methods do the checking; an adapter fills in ``_open``, ``_infer``, ``_close``
    and ``_describe``, and may raise whatever its engine raises: it is mapped here.

    Args:
        path: The artifact.
        contract: Its contract.
        options: How to run it.
        binding: How a file of another maker is brought under the contract; None for our own.

    Attributes:
        turns: To be held while it works, where threads share it.
    """

    name: ClassVar[str]
    """The name in the registry."""
    thread_safe: ClassVar[bool] = False
    """Whether ``infer`` may be called from several threads at once."""
    forks: ClassVar[bool] = True
    """Whether a child made by fork can open one of its own, where its parent had one."""
    settings: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What can be set of the engine, and to what; the first value is the usual one."""
    profiler: ClassVar[str] = ""
    """What times its layers; empty where the engine has nothing that does."""
    _process: ClassVar[int | None] = None

    def __init__(
        self,
        path: Path,
        contract: Contract,
        options: RuntimeOptions,
        binding: "Binding | None" = None,
    ) -> None:
        self.path = path
        self.contract = contract
        self.options = options
        self.binding = binding
        self.input_name = binding.input.name if binding else INPUT_NAME
        self.tensor_names = (
            tuple(each.name for each in binding.outputs) if binding else contract.output_names
        )
        self.turns = self._turns()
        self._is_open = False
        self._is_lost = False

    @classmethod
    def tensors(cls, path: Path) -> Tensors:
        """What a file takes and gives, whoever made it.

        Raises:
            EngineError: If the engine refuses it, or cannot tell.
        """
        with engine_errors(f"{cls.name} cannot open {path.name}"):
            return cls._tensors(path)

    def open(self) -> Self:
        """Load the artifact into the engine, once its digest shows that it is whole.

        Raises:
            ArtifactError: If it was changed or damaged since it was exported.
            EngineError: If the engine refuses it.
            UsageError: If an option does not suit it.
        """
        self._check_settings()
        self._check_process()
        if not self._is_open:
            check_whole(self.path, self.contract)
            with engine_errors(f"{self.name} cannot open {self.path.name}"):
                self._open()
            self._is_open, self._is_lost = True, False
            watch(self)
            threads = self.options.thread_count()
            _log.info("%s opened %s, threads %d: %s", self.name, self.path, threads, self.options)
        return self

    def infer(self, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch.

        Args:
            images: uint8 ``[N, height, width, channels]`` as the contract says; N is the
                contract's batch, or any where that is dynamic.

        Returns:
            Outputs by the contract's names, each a float32 array of the caller's own; for
            classification ``probabilities``, ``[N, classes]``.

        Raises:
            ImageError: If the array is not of that dtype and shape.
            EngineError: If the engine fails, or is closed.
        """
        self._check_open()
        self._check(images)
        with engine_errors(f"{self.name} failed on {self.path.name}"):
            if self.binding is None:
                return self._infer(images)
            return self.binding.read(self._infer(self.binding.fed(images)))

    def close(self) -> None:
        """Give back what the engine holds; closing twice does nothing."""
        if self._is_open:
            self._is_open = False
            self._close()

    def leave_behind(self) -> None:
        """In a child made by fork: the engine's threads are not there, nor who held ``turns``."""
        never_free(vars(self).copy())
        self.turns = self._turns()
        self._is_open, self._is_lost = False, self._is_open

    def describe(self) -> Description:
        """Tell what really runs: asked of the engine, not of the file.

        Raises:
            ArtifactError: If the file, which some read anew, was changed since it was opened.
            EngineError: If it is not open.
        """
        self._check_open()
        self._check_unchanged()
        with engine_errors(f"{self.name} cannot describe {self.path.name}"):
            return self._describe()

    def profile(self, runs: int) -> tuple[LayerTime, ...]:
        """Time each layer with the engine's own profiler, on a noisy picture.

        Args:
            runs: Inferences, after some that are not counted; 1 or more.

        Returns:
            The layers in the order in which they ran.

        Raises:
            ArtifactError: If the file was changed since it was opened.
            EngineError: If the engine has no profiler, or it is not open.
        """
        self._check_open()
        if not self.profiler:
            raise EngineError(f"{self.name} tells no times of layers")
        self._check_unchanged()
        with engine_errors(f"{self.name} cannot profile {self.path.name}"):
            return self._profile_layers(self._noise(), runs)

    def __enter__(self) -> Self:
        return self.open()

    def _turns(self) -> AbstractContextManager[Any]:
        """One at a time, or as many as have use: each takes memory that engines keep."""
        if not self.thread_safe:
            return Lock()
        if self.options.device is not None:
            return nullcontext()
        return turns_of(inferences_at_once())

    def _setting(self, name: str) -> str:
        """What a setting is set to."""
        return dict(self.options.settings).get(name, self.settings[name][0])

    def _check_settings(self) -> None:
        for name, value in self.options.settings:
            if value not in self.settings.get(name, ()):
                known = [f"{each}={'|'.join(them)}" for each, them in self.settings.items()]
                raise UsageError(
                    f"{self.name} knows no setting {name}={value}; "
                    f"it knows: {', '.join(known) or 'none'}"
                )

    def _check_process(self) -> None:
        """Refuse a child whose engine would wait for what its parent's threads held."""
        if not self.forks and type(self)._process not in (None, os.getpid()):
            raise EngineError(
                f"{self.name} does not run in a child of a process that used it before the fork",
                "Start processes by spawn, or open nothing before the fork",
            )
        type(self)._process = os.getpid()

    def __reduce__(self) -> Any:
        raise EngineError(
            f"{self.path.name}, open in {self.name}, cannot be sent to another process",
            "Send the path, and open it there",
        )

    def _check_unchanged(self) -> None:
        if self.path.exists():
            check_whole(self.path, self.contract)

    def _check_open(self) -> None:
        if self._is_lost:
            raise EngineError(
                f"{self.path.name} was opened in {self.name} before this process was forked",
                "An engine's threads stay behind: open it in the process that uses it",
            )
        if not self._is_open:
            raise EngineError(f"{self.path.name} is not open in {self.name}")

    def _noise(self) -> NDArray[Any]:
        """A batch to run where the answer does not matter, as the file takes it."""
        batch, *sizes = self.contract.input.shape
        noise = np.random.default_rng(0).integers(0, 256, (batch or 1, *sizes), np.uint8)
        return self.binding.fed(noise) if self.binding else noise

    def _check(self, images: NDArray[np.uint8]) -> None:
        batch, *sizes = self.contract.input.shape
        if images.dtype != np.uint8 or list(images.shape[1:]) != sizes or not len(images):
            raise ImageError(
                f"{self.path.name} takes uint8 {[batch or 'N', *sizes]}, "
                f"not {images.dtype} {list(images.shape)}"
            )
        if batch is not None and len(images) != batch:
            raise ImageError(f"{self.path.name} takes {batch} at a time, not {len(images)}")

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _infer(self, images: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Run what ``input_name`` is fed with; give the outputs by ``tensor_names``."""

    @abstractmethod
    def _close(self) -> None: ...

    @abstractmethod
    def _describe(self) -> Description: ...

    @classmethod
    def _tensors(cls, path: Path) -> Tensors:
        """What ``tensors`` gives; for engines that run files of other makers."""
        raise EngineError(f"{cls.name} runs only what edgeferry made")

    def _profile_layers(self, images: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """What ``profile`` gives; for engines that name a ``profiler``."""
        raise NotImplementedError


class engine_errors:
    """Turn whatever an engine raises into an ``EngineError`` (slim: it is on the hot path)."""

    __slots__ = ("_doing", "_handled")

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        self._handled = sys.exception()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, EdgeferryError):
            if was_interrupted(error, self._handled):
                raise KeyboardInterrupt from error
            raise EngineError(f"{self._doing}: {reason_of(error)}") from error
