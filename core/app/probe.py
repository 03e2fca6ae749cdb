"""Files that might end the process they are opened in, checked or tried out before that.

An engine that is given a cut or altered file can end the process without a word. A digest shows
that a file is as it was exported. One that carries none is opened in a process of its own first,
and runs once there. That is no sandbox: it keeps accidents away, not attackers.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

from edgeferry.app.child import run_in_child
from edgeferry.artifact import format_of, open_artifact
from edgeferry.contract import Contract
from edgeferry.errors import (
    ArtifactError,
    ContractError,
    EdgeferryError,
    EngineError,
    UsageError,
    reason_of,
)
from edgeferry.given_contract import GivenContract
from edgeferry.integrity import check_whole
from edgeferry.progress import Progress
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import contract_of
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime

SECONDS = 60.0
"""That one file may take to be opened and run once."""


@dataclass(frozen=True)
class Use:
    """What will be done with files.

    Attributes:
        runtime: Name of the engine; None is the first one installed for the format.
        options: How it shall run.
        given: JSON file with the contract of files that carry none.
        network: Whether the operations of the files are read too.
    """

    runtime: str | None = None
    options: RuntimeOptions = field(default_factory=RuntimeOptions)
    given: Path | None = None
    network: bool = False


class Openable(Protocol):
    """An artifact, or what is judged by one."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def contract(self) -> Contract | None:
        """What it carries inside."""


def check_all_whole(artifacts: Sequence[Openable]) -> None:
    """See that artifacts are as they were exported, as far as they carry digests.

    Raises:
        ArtifactError: If one was changed or damaged since.
    """
    for artifact in artifacts:
        check_whole(artifact.path, artifact.contract)


def check_safe(artifacts: Sequence[Openable], use: Use) -> None:
    """See that artifacts can be opened in this process; arguments and errors of ``try_out``.

    Raises:
        EdgeferryError: What an engine says of one that it refuses.
    """
    for error in try_out(artifacts, use).values():
        raise error


def try_out(artifacts: Sequence[Openable], use: Use) -> Mapping[Path, EdgeferryError]:
    """Hold artifacts to their digests, and let engines open those that carry none elsewhere first.

    Args:
        artifacts: What is to be opened in this process.
        use: What will be done with them.

    Returns:
        What an engine said of those that it refuses, by path. They must not be opened here: on
        the same broken file it may well crash the next time.

    Raises:
        ArtifactError: If one was changed or damaged, or ends the process that opens it.
        EngineError: If that process does not start, or no engine can be imported in it.
    """
    check_all_whole(artifacts)
    doubtful = [
        each.path for each in artifacts if each.contract is None or each.contract.integrity is None
    ]
    if not doubtful:
        return {}
    tried: list[Path] = []

    def hear(step: str, done: int, total: int) -> None:
        tried[:] = [doubtful[done]]

    try:
        return dict(run_in_child(_refused, (doubtful, use), hear, "it", SECONDS))
    except EngineError as error:
        if not tried:  # its process was still starting, which is no fault of the file
            raise
        raise ArtifactError(
            f"{tried[0]} carries no digest and was opened in a process of its own: {error.problem}",
            "It is damaged or malicious: get it anew, or export it again",
        ) from error


def _refused(
    paths: Sequence[Path], use: Use, progress: Progress
) -> list[tuple[Path, EdgeferryError]]:
    with suppress(OSError):  # a file that wants all memory shall end this process, not others
        Path("/proc/self/oom_score_adj").write_text("1000")
    for path in paths:
        _import_engine(path, use)
    errors = []
    for number, path in enumerate(paths):
        progress("trying out", number, len(paths))
        try:
            _try(path, use)
        except EdgeferryError as error:
            errors.append((path, error))
        except Exception as error:  # whatever it made of a file that was never checked
            errors.append((path, ArtifactError(f"{path} cannot be used: {reason_of(error)}")))
    return errors


def _import_engine(path: Path, use: Use) -> None:
    """Before the time of the file begins: on slow boards that alone takes long."""
    with suppress(Exception):  # whoever opens the file says so
        name = choose_runtime(format_of(path) or "", use.runtime)
        for module in RUNTIMES.entry(name).requires:
            import_module(module)


def _try(path: Path, use: Use) -> None:
    artifact = open_artifact(path)
    engine = RUNTIMES.load(choose_runtime(artifact.format, use.runtime))
    given = None if artifact.contract else use.given or GivenContract("none", "raw")
    try:
        contract, binding = contract_of(artifact, given, engine)
    except (ContractError, UsageError):
        if use.given is not None:
            raise
        return  # its tensors are all that will be asked for
    batch, *sizes = contract.input.shape
    with engine(path, contract, use.options, binding) as opened:
        opened.infer(np.zeros((batch or 1, *sizes), np.uint8))
        opened.describe()
    if use.network:
        from edgeferry.exporters.artifact_network import artifact_network

        with suppress(ImportError):  # whoever needs the package says so
            artifact_network(path, artifact.format)
