"""The host's side of the agent: sends it, gives it a job, hears its events."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeferry.closing import Closing
from edgeferry.devices.checked import machine
from edgeferry.devices.device import Command, Completed, Device
from edgeferry.devices.job import Event, Job, read_event
from edgeferry.devices.own_wheel import write_own_wheel
from edgeferry.errors import DeviceError
from edgeferry.streams import printable

OLDEST_PYTHON = (3, 11)
_FACTS = 30
"""Seconds for the facts of a slow board."""
_MODULE = "edgeferry.devices"
_VERSION = re.compile("[0-9]{1,4}")
_SLOW, _STARTING, _WAYS = 4, 60, 64
"""Times the planned time that a job may take; seconds for starting a process on a slow board with
little memory, where each round starts its own; processes that tuning may start."""


class AgentClient(Closing):
    """An agent on a device; a context manager, since it keeps what it sends in a folder.

    Args:
        device: Where it works.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._folder = tempfile.TemporaryDirectory(prefix="edgeferry-")
        self._environment: Mapping[str, str] | None = None

    def close(self) -> None:
        """Remove what was kept to be sent."""
        self._folder.cleanup()

    def prepare(self) -> Mapping[str, str]:
        """Send the agent, unless it is there.

        Returns:
            Environment that makes it importable.

        Raises:
            DeviceError: If the device cannot be reached or has no usable Python.
        """
        if self._device.transport == "local" and self._device.python == sys.executable:
            return {}  # this very Python has edgeferry
        if self._environment is None:
            self._check_python()
            # The folder holds what was sent; Python shall not take modules from it.
            self._environment = {"PYTHONPATH": self._sent_wheel(), "PYTHONSAFEPATH": "1"}
        return self._environment

    def facts(self) -> dict[str, Any]:
        """Facts of the device's machine.

        Raises:
            DeviceError: If it cannot be reached or has no usable Python.
        """
        ended = self._python("-m", f"{_MODULE}.machine", time_limit=_FACTS)
        for line in reversed(ended.stdout.splitlines()):
            event = read_event(f'{{"event": "facts", "facts": {line}}}')
            if event is not None and isinstance(event.content["facts"], dict):
                return machine(event.content["facts"])
        raise self._failed("told no facts", ended)

    def measure(self, job: Job, hear: Callable[[Event], None]) -> None:
        """Have a job done.

        Args:
            job: What to do; its artifacts are on the device.
            hear: Takes each event as it comes.

        Raises:
            DeviceError: If the device is lost, or the agent ends before it is done.
        """
        finished = False

        def listen(line: str) -> None:
            nonlocal finished
            event = read_event(line)
            if event is not None:
                finished = finished or event.kind == "done"
                hear(event)

        arguments = ("-m", f"{_MODULE}.agent", self._sent_job(job))
        ended = self._python(*arguments, time_limit=_time_limit(job), listen=listen)
        if not finished:
            raise self._failed("the agent ended before it was done", ended)

    def _sent_job(self, job: Job) -> str:
        file = Path(self._folder.name, "job.json")
        file.write_text(job.to_json(), encoding="utf-8")
        (name,) = self._device.place([file])
        return name

    def _python(
        self, *arguments: str, time_limit: float, listen: Callable[[str], None] | None = None
    ) -> Completed:
        command = [self._device.python, *arguments]
        environment = self.prepare()
        ended = self._device.run(Command(command, time_limit, environment), listen)
        if ended.code and listen is None:
            raise self._failed("Python failed", ended)
        return ended

    def _sent_wheel(self) -> str:
        (name,) = self._device.place([write_own_wheel(Path(self._folder.name))])
        return name

    def _check_python(self) -> None:
        """See that there is a Python, and not too old a one."""
        question = "import sys; print(*sys.version_info[:2])"
        command = Command([self._device.python, "-c", question], time_limit=_FACTS)
        ended = self._device.run(command)
        found = ended.stdout.split()[-2:]
        wanted = ".".join(map(str, OLDEST_PYTHON))
        remedy = (
            f"Install Python {wanted} or later there, or name the one to use: "
            f"edgeferry devices add NAME {self._device.settings.address} --python PATH --replace"
        )
        if ended.code or len(found) < 2 or not all(map(_VERSION.fullmatch, found)):
            raise DeviceError(f"{self._device.name} has no Python {self._device.python!r}", remedy)
        if (int(found[0]), int(found[1])) < OLDEST_PYTHON:
            version = ".".join(found)
            raise DeviceError(f"Python {version} on {self._device.name} is too old", remedy)

    def _failed(self, what: str, ended: Completed) -> DeviceError:
        complaints = [line for line in ended.stderr.splitlines() if line.strip()]
        last = printable(complaints[-1].strip()) if complaints else f"exit code {ended.code}"
        missing = last.startswith("ModuleNotFoundError")
        remedy = setup_hint(self._device)
        return DeviceError(f"{self._device.name}: {what}: {last}", remedy if missing else "")


def setup_hint(device: Device) -> str:
    """How a device gets a Python that can measure."""
    return (
        "There: python3 -m venv edge && edge/bin/pip install numpy pillow onnxruntime; here: "
        f"edgeferry devices add NAME {device.settings.address} --python edge/bin/python --replace"
    )


def _time_limit(job: Job) -> float:
    """Seconds after which something must be wrong."""
    each = job.plan.seconds * (1 + job.plan.picture_share) + job.plan.warm_up + job.plan.sustained
    starts = 1 + job.plan.rounds + (_WAYS if job.tune else 0)
    return len(job.trials) * (_SLOW * each + _STARTING * starts)
