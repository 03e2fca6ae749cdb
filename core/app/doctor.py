"""What is installed here, what runs, what is missing and how to get it; nothing heavy imported."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from edgeferry.app.results import results_document
from edgeferry.devices.registry import TRANSPORTS
from edgeferry.exporters.registry import EXPORTERS
from edgeferry.registry import Entry, missing_dependency
from edgeferry.runtimes.registry import RUNTIMES
from edgeferry.threads import physical_cores

EXTRAS = (
    "cli",
    "ssh",
    "sign",
    "dask",
    "detection",
    "report",
    "torch",
    "tflite",
    "onnx",
    "openvino",
    "tflite-runtime",
    "export",
    "demo",
)
"""Extras that users choose among."""

_QUIET = "import edgeferry; import json; "
_PROBES = {
    "onnxruntime": (
        "onnxruntime",
        "import onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))",
    ),
    "openvino": (
        "openvino",
        "import openvino; print(json.dumps(openvino.Core().available_devices))",
    ),
}
"""What to ask of an engine that finds out by itself what it can run on, in a child process."""
_BUILT_IN = {
    "litert": ("XNNPACK (built in)",),
    "tflite-runtime": ("XNNPACK (built in)",),
    "tensorflow": ("XNNPACK (built in)",),
    "keras": ("CPU",),
}
_CAVEATS = {"tflite-runtime": " (Python 3.11 only, in an environment of its own: numpy<2)"}
_PROBE_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """One runtime.

    Attributes:
        name: Its name in the registry.
        formats: Formats it runs.
        missing: Packages it lacks; empty if it can be used.
        devices: Execution providers, delegates or devices it lists on this machine.
        remedy: How to get what is missing.
    """

    name: str
    formats: tuple[str, ...]
    missing: tuple[str, ...]
    devices: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class Extra:
    """One extra of edgeferry.

    Attributes:
        name: As in ``pip install 'edgeferry[name]'``.
        packages: Installed version of each package it brings; None where missing.
        remedy: How to get what is missing; empty if it is complete.
    """

    name: str
    packages: dict[str, str | None]
    remedy: str


@dataclass(frozen=True)
class PlugIn:
    """An engine, a format or a way to reach devices that another package brings.

    Attributes:
        kind: What it is.
        name: Its name in the registry.
        package: The distribution that brings it.
        problem: Why it cannot be used; empty if it can.
    """

    kind: str
    name: str
    package: str
    problem: str


@dataclass(frozen=True)
class Diagnosis:
    """What ``edgeferry doctor`` found.

    Attributes:
        python: Version of Python.
        platform: Operating system and processor.
        cores: Physical cores this process may use: the default number of threads.
        edgeferry: Version of edgeferry.
        engines: Every runtime known, but for plug-ins that do not work.
        extras: Every extra.
        plug_ins: What other packages bring, also what of it does not work.
        telemetry: By package that could report, what keeps it from doing so.
    """

    python: str
    platform: str
    cores: int
    edgeferry: str
    engines: tuple[Engine, ...]
    extras: tuple[Extra, ...]
    plug_ins: tuple[PlugIn, ...]
    telemetry: dict[str, str]

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        return results_document("doctor", [], asdict(self))


def diagnose() -> Diagnosis:
    """Look around, without importing an engine into this process."""
    return Diagnosis(
        python=platform.python_version(),
        platform=platform.platform(),
        cores=physical_cores(),
        edgeferry=version("edgeferry"),
        engines=tuple(_engine(*each) for each in RUNTIMES.entries().items() if not each[1].problem),
        extras=tuple(_extra(name) for name in EXTRAS),
        plug_ins=tuple(_plug_ins()),
        telemetry=_telemetry(),
    )


def _engine(name: str, entry: Entry) -> Engine:
    missing = entry.missing()
    if not missing:
        return Engine(name, entry.formats, (), _devices(name), "")
    remedy = missing_dependency(name, missing, entry.extra).remedy
    return Engine(name, entry.formats, missing, (), remedy + _CAVEATS.get(entry.extra, ""))


def _plug_ins() -> Iterator[PlugIn]:
    for registry in (RUNTIMES, EXPORTERS, TRANSPORTS):
        for name, entry in registry.plug_ins:
            yield PlugIn(registry.kind, name, entry.package, entry.problem)


def _devices(name: str) -> tuple[str, ...]:
    if name not in _PROBES:
        return _BUILT_IN.get(name, ())
    module, question = _PROBES[name]
    command = [sys.executable, "-c", _QUIET + question]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=True)
        return tuple(json.loads(answer.stdout))
    except (subprocess.SubprocessError, ValueError):
        return (f"{module} cannot be imported",)


def _extra(name: str) -> Extra:
    packages = {package: _version(package) for package in _packages(name)}
    return Extra(name, packages, "" if all(packages.values()) else _remedy(name))


def _remedy(extra: str) -> str:
    return f"pip install 'edgeferry[{extra}]'{_CAVEATS.get(extra, '')}"


def _packages(extra: str) -> list[str]:
    """Names of the packages that an extra brings, those of the extras within it included."""
    names: list[str] = []
    for requirement in requires("edgeferry") or ():
        match = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", requirement)
        if match is None or not re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", requirement):
            continue
        if match[1] == "edgeferry":
            names += [each for inner in match[2].split(",") for each in _packages(inner)]
        else:
            names.append(match[1])
    return list(dict.fromkeys(names))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _telemetry() -> dict[str, str]:
    """The state in every process of edgeferry: what the user's own environment says holds."""
    switches = {"onnxruntime": "ORT_DISABLE_TELEMETRY", "nncf": "NNCF_CI"}
    state = {
        package: f"off ({switch}={os.environ[switch]})"
        if os.environ[switch] not in ("", "0")
        else f"left on by your environment ({switch}={os.environ[switch]})"
        for package, switch in switches.items()
    }
    return {**state, "openvino": "off (openvino_telemetry is kept from being imported)"}
