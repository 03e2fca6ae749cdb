"""One group of artifacts on one device: the events heard of it, and the results they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeferry.app.latency_results import Measured, doubts, with_sustained
from edgeferry.app.reading_limits import MOST_ROUNDS
from edgeferry.app.results import Result
from edgeferry.artifact import Artifact, artifact_digests, require_contract
from edgeferry.devices.checked import machine
from edgeferry.devices.job import Event
from edgeferry.devices.measurement import Measurement, Run, Slice, Trial
from edgeferry.errors import DeviceError, EdgeferryError, rebuilt_error
from edgeferry.progress import logger

_log = logger(__name__)
Facts = Mapping[str, Any]
_MOST_TURNS, _MOST_TIMINGS = 100_000, 50_000_000
"""Turns alone, and timings of a group: what tells more takes all memory."""


@dataclass
class GroupRun:
    """Artifacts of one source, format and folder; the fp32 one is the others' measure.

    Attributes:
        device: Name of the device.
        emulated: Whether its times say nothing of a real one.
        artifacts: The group.
        saved: Results of an earlier run, of all of the group or none.
        saved_facts: Facts of the machine before and after that run.
        errors: What could not be measured.
        before: Facts of the machine before this run.
        after: The same after it.
    """

    device: str
    emulated: bool
    artifacts: Sequence[Artifact]
    saved: Mapping[Path, Result] = field(default_factory=dict)
    saved_facts: tuple[Facts, Facts | None] | None = None
    errors: dict[Path, EdgeferryError] = field(default_factory=dict)
    before: Facts | None = None
    after: Facts | None = None
    _measured: dict[Path, Measurement] = field(default_factory=dict)
    _turns: dict[Path, list[Slice]] = field(default_factory=dict)
    _alone: dict[Path, list[Slice]] = field(default_factory=dict)
    _sustained: dict[Path, Sequence[Slice]] = field(default_factory=dict)
    _tuned: dict[Path, list[Any]] = field(default_factory=dict)
    _digests: dict[Path, dict[str, str | None]] = field(default_factory=dict)
    _timings: int = 0
    _results: list[tuple[Artifact, Result]] | None = None

    @property
    def format(self) -> str:
        """The format that all have in common."""
        return self.artifacts[0].format

    def hear(self, artifacts: Sequence[Artifact], event: Event) -> None:
        """Take in what an agent tells.

        Args:
            artifacts: Those of the agent's job, in its order.
            event: What it tells.

        Raises:
            DeviceError: If it makes no sense.
        """
        try:
            path = None if event.trial is None else artifacts[event.trial].path
            _log.debug("%s: %s %s", self.device, event.kind, "" if path is None else path.name)
            self._take(path, event.kind, event.content)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise DeviceError(f"{self.device} told nonsense: {event.kind}: {error!r}") from error

    def results(self) -> list[tuple[Artifact, Result]]:
        """What is known by now, in the order of the group; made once, for it takes a while."""
        if self._results is None:
            self._results = list(self._made_results())
        return self._results

    def known(self) -> int:
        """How many measurements are complete."""
        return len(self.saved) + len(self._measured) + len(self._sustained)

    def _made_results(self) -> Iterator[tuple[Artifact, Result]]:
        twin = next((each for each in self.artifacts if each.precision == "fp32"), None)
        for artifact in self.artifacts:
            if artifact.path in self.saved:
                yield artifact, self._saved_result(self.saved[artifact.path], artifact.path)
            elif artifact.path in self._measured:
                yield artifact, self._measured_result(artifact, twin)

    def unfinished(self) -> list[dict[str, Any]]:
        """Turns that were measured of artifacts that are not complete."""
        return [
            {
                "device": self.device,
                "artifact": artifact.path.name,
                **self.digests(artifact),
                "slices": [vars(turn) for turn in turns],
            }
            for artifact in self.artifacts
            for pending, complete in ((self._turns, self._measured), (self._alone, self._sustained))
            if (turns := pending.get(artifact.path)) and artifact.path not in complete
            if not self.emulated
        ]

    def turns(self, rounds: int, alone: int) -> int:
        """How many turns are over; of an artifact that needs none, all of them.

        Args:
            rounds: Turns of each beside the others.
            alone: Turns of each alone.
        """
        return sum(self._turns_of(artifact.path, rounds, alone) for artifact in self.artifacts)

    def facts(self) -> dict[str, Any] | None:
        """Facts of the machine before and after; None where nothing is known yet."""
        now = None if self.before is None else (self.before, self.after)
        known = now or self.saved_facts
        if known is None:
            return None
        names = [artifact.path.name for artifact in self.artifacts]
        return {"group": self.format, "artifacts": names, "before": known[0], "after": known[1]}

    def digests(self, artifact: Artifact) -> dict[str, str | None]:
        """What the artifact is known by."""
        if artifact.path not in self._digests:
            self._digests[artifact.path] = artifact_digests(artifact.path)
        return self._digests[artifact.path]

    def _turns_of(self, path: Path, rounds: int, alone: int) -> int:
        if path in self.errors:
            return rounds + alone
        begun = rounds if path in self.saved else len(self._turns.get(path, ()))
        return begun + len(self._alone.get(path, ()))

    def _saved_result(self, saved: Result, path: Path) -> Result:
        alone = self._sustained.get(path)
        if not alone:
            return saved
        return with_sustained(saved, alone, doubts((self.before, self.after), alone))

    def _measured_result(self, artifact: Artifact, twin: Artifact | None) -> Result:
        own = self._measured[artifact.path]
        beside = self._measured.get(twin.path) if twin else None
        return Measured(
            artifact=artifact,
            device=self.device,
            emulated=self.emulated,
            measurement=own,
            beside=None if beside is own else beside,
            facts=(self.before, self.after),
            sustained=self._sustained.get(artifact.path, ()),
            tuned=self._tuned.get(artifact.path),
            digests=self.digests(artifact),
        ).result()

    def _take(self, path: Path | None, kind: str, content: Mapping[str, Any]) -> None:
        if kind not in ("slice", "sustaining"):
            self._results = None
        if kind == "facts":
            self._take_facts(content)
        elif path is None:
            return
        elif kind == "tuned":
            self._tuned[path] = list(content["rungs"])
        elif kind in ("slice", "sustaining"):
            turns = (self._turns if kind == "slice" else self._alone).setdefault(path, [])
            turns.append(self._counted(Slice.from_dict(content["slice"])))
            if len(turns) > (MOST_ROUNDS if kind == "slice" else _MOST_TURNS):
                raise ValueError("more turns than any plan has")
        elif kind == "measured":
            trial, run = Trial.from_dict(content["options"]), Run.from_dict(content["run"])
            self._measured[path] = Measurement(trial, run, tuple(self._turns[path]))
        elif kind == "sustained":
            self._sustained[path] = tuple(self._alone[path])
        elif kind == "failed":
            self.errors[path] = rebuilt_error(content["error"])

    def _counted(self, turn: Slice) -> Slice:
        self._timings += len(turn.nanoseconds) + len(turn.pictures)
        if self._timings > _MOST_TIMINGS:
            raise ValueError(f"more than {_MOST_TIMINGS} timings")
        return turn

    def _take_facts(self, content: Mapping[str, Any]) -> None:
        facts = machine(content["facts"])
        if content["when"] == "after":
            self.after = facts
        elif self.before is None:
            self.before = facts


def groups(artifacts: Sequence[Artifact]) -> list[list[Artifact]]:
    """Artifacts by source, format and folder."""
    found: dict[tuple[str, str, Path], list[Artifact]] = {}
    for artifact in artifacts:
        source = require_contract(artifact).source.sha256
        found.setdefault((artifact.format, source, artifact.path.parent), []).append(artifact)
    return list(found.values())
