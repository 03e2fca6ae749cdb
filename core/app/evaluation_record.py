"""What an evaluation has found so far, on disk as JSON while it runs, and read again to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgeferry.app.digests import path_digest, pictures_digest
from edgeferry.app.journal import Journal, is_there_to_resume, result_from
from edgeferry.app.judge import EvaluationOptions
from edgeferry.app.lock import Tell
from edgeferry.app.partial import plain, same_as_before
from edgeferry.app.results import Result
from edgeferry.app.results_check import read_results
from edgeferry.app.subjects import Subject
from edgeferry.errors import UsageError
from edgeferry.pictures import find_pictures
from edgeferry.runtimes.registry import RUNTIMES

_Key = tuple[str, str | None, str | None]
"""File name and digests."""


@dataclass(frozen=True)
class EarlierEvaluation:
    """What an interrupted run found.

    Attributes:
        results: By the artifact's name and digests.
        warnings: What it said of the pictures and answers.
        skipped: Number of pictures it could not read.
    """

    results: Mapping[_Key, Result] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    skipped: int = 0


@dataclass(frozen=True)
class EvaluationRecord:
    """Results that are kept as they come, and those that an interrupted run had kept.

    Attributes:
        journal: Where they are kept; None keeps none.
        asked: What figures depend on.
        earlier: What an interrupted run found.
        reference: The reference asked for.
    """

    journal: Journal | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    earlier: EarlierEvaluation = field(default_factory=EarlierEvaluation)
    reference: Path | None = None

    def known(self, subject: Subject, reference: Subject | None) -> Result | None:
        """The result of these very files, if an interrupted run had found it.

        Args:
            subject: What is to be judged.
            reference: What it is to be compared with.
        """
        if not self.earlier.results:
            return None
        found = self.earlier.results.get(_key(subject.path.name, subject.digests()))
        if found is None or found.extra["sha256"] is None:
            return None
        name = None if reference is None else reference.path.name
        return found if found.extra.get("reference") == name and self._knows(reference) else None

    def _knows(self, reference: Subject | None) -> bool:
        """Whether the interrupted run compared with this very reference."""
        if reference is None or reference.path == self.reference:  # that is in what was asked
            return True
        return _key(reference.path.name, reference.digests()) in self.earlier.results


def begin_record(
    path: Path, options: EvaluationOptions, resume: bool, tell: Tell
) -> EvaluationRecord:
    """A record in a file, with what is there already if an interrupted run is to go on.

    Args:
        path: The file.
        options: What to judge on, and how.
        resume: Whether to go on.
        tell: Told if there is nothing to go on with.

    Raises:
        UsageError: If the file holds no evaluation, or one of something else.
        ImageError: If there are no pictures.
    """
    asked = _asked(options)
    there = resume and is_there_to_resume(path, tell)
    earlier = _read(path, asked) if there else EarlierEvaluation()
    return EvaluationRecord(Journal(path), asked, earlier, options.reference)


def _asked(options: EvaluationOptions) -> dict[str, Any]:
    return plain(
        {
            "edgeferry": version("edgeferry"),
            **dict(_engine_versions()),
            "images sha256": pictures_digest(find_pictures(options.images)),
            "truth sha256": path_digest(options.truth),
            "reference sha256": path_digest(options.reference),
            "labels sha256": path_digest(options.labels),
            "runtime": options.runtime,
            "threads": options.engine.threads,
            "execution": options.engine.execution,
            "engine_device": options.engine.device,
            "settings": dict(options.engine.settings),
        }
    )


def _engine_versions() -> Iterator[tuple[str, str]]:
    for package in sorted({each for it in RUNTIMES.entries().values() for each in it.requires}):
        with suppress(PackageNotFoundError):
            yield package, version(package)


def _read(path: Path, asked: Mapping[str, Any]) -> EarlierEvaluation:
    try:
        told = read_results(path, whole=True)
        before = dict(told["asked"])
        results = [result_from(each) for each in told["results"]]
        known = {_key(each.artifact, each.extra): each for each in results}
        earlier = EarlierEvaluation(known, tuple(map(str, told["warnings"])), int(told["skipped"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        problem = f"{path} holds no evaluation that can be resumed: {error!r}"
        raise UsageError(problem, "Begin anew, without --resume") from error
    same_as_before(path, before, asked)
    return earlier


def _key(name: str, digests: Mapping[str, Any]) -> _Key:
    return name, digests["sha256"], digests["weights_sha256"]
