"""Finding the fastest options of an artifact by successive halving, on the device itself.

Jamieson and Talwalkar, 2016, https://proceedings.mlr.press/v51/jamieson16.html: all candidates
get a little time, the faster half gets twice as much, until one is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import median

from edgeferry.artifact import open_artifact
from edgeferry.devices.measurement import Plan, Trial
from edgeferry.devices.rounds import Instruments, measure_group
from edgeferry.errors import EdgeferryError
from edgeferry.runtimes.base import Settings
from edgeferry.runtimes.registry import RUNTIMES, runtimes_for
from edgeferry.threads import physical_cores

FIRST = Plan(seconds=0.2, rounds=2, warm_up=0.3, picture_share=0)
"""What each candidate gets at first; each later rung has twice the rounds."""


@dataclass(frozen=True)
class Rung:
    """One comparison: what was tried, and what it took.

    Attributes:
        medians_ms: Median latency of each candidate that ran, fastest first, milliseconds.
    """

    medians_ms: tuple[tuple[Trial, float], ...]


def candidates(trial: Trial, cores: int | None = None) -> list[Trial]:
    """Every way worth trying to run an artifact; what the trial fixes stays.

    Args:
        trial: Runtime, threads and settings that it names are kept.
        cores: Physical cores; None asks the system.
    """
    threads = [trial.threads] if trial.threads else thread_counts(cores or physical_cores())
    return [
        replace(trial, runtime=runtime, threads=count, settings=settings)
        for runtime in _runtimes(trial)
        for count in threads
        for settings in _settings(trial, runtime)
    ]


def tune(ways: Sequence[Trial], instruments: Instruments) -> tuple[Trial, list[Rung]]:
    """Find the fastest way to run an artifact.

    Args:
        ways: Every way worth trying, at least one.
        instruments: What with.

    Returns:
        The fastest, and every comparison on the way there.

    Raises:
        EdgeferryError: If it cannot be run in any way.
    """
    left, plan, rungs = list(ways), FIRST, list[Rung]()
    while len(left) > 1:
        rung, failures = _compare(left, plan, instruments)
        if not rung.medians_ms:
            raise next(iter(failures.values()))
        rungs.append(rung)
        left = [each for each, _ in rung.medians_ms[: len(left) // 2]]
        plan = replace(plan, seconds=2 * plan.seconds, rounds=2 * plan.rounds)
    return left[0], rungs


def _compare(
    trials: Sequence[Trial], plan: Plan, instruments: Instruments
) -> tuple[Rung, dict[Trial, EdgeferryError]]:
    measured, failures = measure_group(trials, plan, instruments, lambda *_: None)
    taken = [
        (each.trial, median(ns for timings in each.rounds for ns in timings) / 1e6)
        for each in measured
    ]
    return Rung(tuple(sorted(taken, key=lambda each: each[1]))), failures


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4 and so on, and all cores."""
    powers = [1 << n for n in range(cores.bit_length()) if 1 << n < cores]
    return [*powers, cores]


def _runtimes(trial: Trial) -> list[str]:
    if trial.runtime:
        return [trial.runtime]
    known = runtimes_for(open_artifact(trial.path).format)
    # TensorFlow's interpreter is for machines that export; no device would carry it.
    installed = [
        name
        for name in known
        if not (entry := RUNTIMES.entry(name)).missing() and entry.extra != "export"
    ]
    return installed or list(known[:1])


def _settings(trial: Trial, runtime: str) -> Iterator[Settings]:
    """Every combination of the engine's settings that the trial leaves open.

    What is usual is not named: it needs no setting.
    """
    fixed = dict(trial.settings)
    known = RUNTIMES.load(runtime).settings
    choices = [
        [None, *((name, value) for value in values[1:])]
        for name, values in known.items()
        if name not in fixed
    ]
    for chosen in product(*choices):
        yield (*trial.settings, *filter(None, chosen))
