"""What the shell completes: the names that options and arguments take.

Loaded only where a shell asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args, get_type_hints

from edgeferry.app.cli_export import HEADS, METHODS, TARGETS
from edgeferry.app.cli_measure import EXECUTIONS
from edgeferry.applications import APPLICATIONS
from edgeferry.contract import Interpolation, Precision, Preprocessing, ResizeMethod, Task
from edgeferry.devices.known import LOCAL, known_devices
from edgeferry.devices.profile import profiles
from edgeferry.errors import EdgeferryError
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.runtimes.registry import RUNTIMES

Names = Callable[[], Iterable[str]]


def complete_names(command: Callable[..., Any]) -> None:
    """Let the parameters of a command complete their names.

    Args:
        command: With parameters annotated for typer.
    """
    for name, hint in get_type_hints(command, include_extras=True).items():
        names = _NAMES.get(f"{command.__name__}.{name}") or _NAMES.get(name)
        for parameter in getattr(hint, "__metadata__", ()):
            if names is not None:
                parameter.autocompletion = _completion(names, name in _LISTS)


def _completion(names: Names, listed: bool) -> Callable[[str], list[str]]:
    """What typer asks for all that may stand where something incomplete stands.

    Args:
        names: Those there are.
        listed: Whether several may stand there, with commas.
    """

    def complete(incomplete: str) -> list[str]:
        head, comma, _ = incomplete.rpartition(",") if listed else ("", "", "")
        try:
            return [f"{head}{comma}{name}" for name in names() if name not in head.split(",")]
        except EdgeferryError:  # of a broken file the command itself complains
            return []

    return complete


def _profiles() -> list[str]:
    return [each.name for each in profiles()]


def _devices() -> list[str]:
    return [LOCAL, *known_devices()]


def _devices_and_profiles() -> list[str]:
    return [*known_devices(), *_profiles()]


_NAMES: dict[str, Names] = {
    "bundle.device": _devices_and_profiles,
    "calibration_method": lambda: METHODS,
    "check.name": _devices,
    "device": _devices,
    "execution": lambda: EXECUTIONS,
    "formats": EXPORTERS.entries,
    "head": lambda: HEADS,
    "interpolation": lambda: get_args(Interpolation),
    "model": lambda: APPLICATIONS,
    "precisions": lambda: get_args(Precision),
    "preprocessing": lambda: get_args(Preprocessing),
    "profile": _profiles,
    "resize": lambda: get_args(ResizeMethod),
    "runtime": RUNTIMES.entries,
    "show.name": _devices_and_profiles,
    "targets": lambda: TARGETS,
    "task": lambda: get_args(Task),
}
"""By the name of the parameter, with the command's before it where it means one thing there."""
_LISTS = ("formats", "precisions", "targets")
