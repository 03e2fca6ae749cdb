"""What an agent is asked to do, and the events that it tells: JSON, one object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgeferry.checked import read_json
from edgeferry.devices.measurement import Plan, Trial

EventKind = Literal[
    "facts", "tuned", "slice", "measured", "sustaining", "sustained", "failed", "done"
]
"""``facts``: of the machine, before and after. ``tuned``: the options found for an artifact.
``slice`` and ``sustaining``: a turn, in rounds and alone. ``measured`` and ``sustained``: an
artifact is complete. ``failed``: an artifact's error. ``done``: the agent's last word."""


@dataclass(frozen=True)
class Job:
    """Artifacts to measure beside each other.

    Attributes:
        trials: What to measure.
        plan: For how long.
        tune: Whether to search for the fastest options first.
        children: Whether each artifact has a process of its own; False where the device
            cannot start any, and then there is one trial.
    """

    trials: Sequence[Trial]
    plan: Plan
    tune: bool = False
    children: bool = True

    def to_json(self) -> str:
        """What ``from_json`` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        trials = [Trial.from_dict(trial) for trial in data["trials"]]
        return cls(trials, Plan(**data["plan"]), data["tune"], data["children"])


_UNPRINTABLE = re.compile(r"\\u(?:00[01][0-9a-f]|007f|00[89][0-9a-f]|d[89a-f][0-9a-f]{2})", re.I)
"""As JSON escapes them; line ends and tabs have escapes of their own."""


@dataclass(frozen=True)
class Event:
    """Something an agent tells.

    Attributes:
        kind: What.
        trial: Number of the trial in the job; None where it is about the device.
        content: The rest, by kind.
    """

    kind: EventKind
    trial: int | None
    content: Mapping[str, Any]

    def to_json(self) -> str:
        """One line."""
        return json.dumps({"event": self.kind, "trial": self.trial, **self.content})


def read_event(line: str) -> Event | None:
    """An event from a line; None for whatever else the device prints.

    Control characters and halves of surrogate pairs, which could disturb a terminal or a file,
    become replacement characters.
    """
    try:
        data = read_json(_UNPRINTABLE.sub(r"\\ufffd", line))
    except ValueError:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        return None
    kind, trial = data.pop("event"), data.pop("trial", None)
    return Event(kind, trial, data)
