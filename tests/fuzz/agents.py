"""What devices print: an agent's events, and what a phone's shell and TFLite's program tell."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from edgeferry.app import benchmark as module
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.app.benchmark_tables import benchmark_report
from edgeferry.app.console import show
from edgeferry.app.device_check import DeviceCheck
from edgeferry.app.device_tables import check_table
from edgeferry.app.journal import Journal
from edgeferry.app.results import write_document
from edgeferry.app.results_check import read_results
from edgeferry.devices.agent_client import AgentClient
from edgeferry.devices.measurement import Plan
from fuzz.damage import damaged
from fuzz.scripted import ScriptedDevice
from fuzz.shapes import changed, json_bytes
from fuzz.target import Target

_SAMPLES = Path(__file__).parent / "samples"
_PLAN = Plan(seconds=0.1, rounds=2, sustained=0.1, profile=True)
_STREAM, _FACTS, _PROGRAM = "stream", "facts", "program"


class Streams(Target):
    """``benchmark`` on a device that prints anything; what it writes keeps to the schema."""

    memory_mb: ClassVar[int] = 512

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        self._measured = sorted(artifacts.glob("*.fp32.tflite"))
        self._measured += sorted(artifacts.glob("*.int8.tflite"))

    @abstractmethod
    def device(self, folder: Path) -> ScriptedDevice:
        """The device that prints what a case's files hold."""

    def run(self, folder: Path) -> None:
        device = self.device(folder)
        setattr(module, "_settings", lambda options: [device.settings])  # noqa: B010
        setattr(module, "open_device", lambda settings: device)  # noqa: B010
        setattr(BenchmarkOptions, "plan", lambda options: _PLAN)  # noqa: B010
        options = BenchmarkOptions(threads=1)
        journal = Journal(folder / "journal.json")
        report = module.benchmark(self._measured, options, journal=journal)
        assert not journal.problem, journal.problem
        show(*benchmark_report(report))
        read_results(journal.path, whole=True)


class Agents(Streams):
    """An agent's events."""

    full: ClassVar[int] = 1000
    quick: ClassVar[int] = 25

    def make(self, random: Random, folder: Path) -> str:
        lines = (_SAMPLES / "agent.jsonl").read_text().splitlines()
        stream, done = _stream([json.loads(line) for line in lines], random)
        (folder / _STREAM).write_bytes(stream)
        (folder / _FACTS).write_bytes(_facts(json.loads(lines[0])["facts"], random))
        return done

    def device(self, folder: Path) -> ScriptedDevice:
        read = {name: (folder / name).read_bytes() for name in (_STREAM, _FACTS)}
        return ScriptedDevice(folder / "pi", {".agent": read[_STREAM], ".machine": read[_FACTS]})

    def run(self, folder: Path) -> None:
        super().run(folder)
        with self.device(folder) as device, AgentClient(device) as client:
            facts = client.facts()
        check = DeviceCheck(device.settings, facts, {}, [], [])
        show(check_table(check))
        write_document(check.document(), str(folder / "check.json"))


class Phones(Streams):
    """What a phone tells of itself, and TFLite's program of its timings."""

    full: ClassVar[int] = 1000
    quick: ClassVar[int] = 25

    def make(self, random: Random, folder: Path) -> str:
        told = {_FACTS: _phone_facts(), _PROGRAM: _PROGRAM_SAYS.encode()}
        name = random.choice((_FACTS, _PROGRAM))
        told[name] = random.choice(_DAMAGES)(told[name], random)
        for each, text in told.items():
            (folder / each).write_bytes(text)
        return name

    def device(self, folder: Path) -> ScriptedDevice:
        read = {name: (folder / name).read_bytes() for name in (_FACTS, _PROGRAM)}
        printed = {"--graph": read[_PROGRAM], "grep": read[_FACTS]}
        program = self.scratch / "benchmark_model"
        program.write_bytes(b"#!/bin/sh\n")
        return ScriptedDevice(folder / "phone", printed, program)


def _stream(events: list[dict[str, Any]], random: Random) -> tuple[bytes, str]:
    way = random.choice(("lies", "lies", "lies", "order", "garbage", "garbage", "flood"))
    if way == "lies":
        events = [changed(each, random) if random.random() < 0.2 else each for each in events]
    elif way == "order":
        events = random.choices(events, k=random.choice((len(events), 5 * len(events))))
    stream = b"\n".join(map(json_bytes, events)) + b"\n"
    if way == "garbage":
        stream = damaged(stream, [bytes(range(256)) * 8, "𝔘𝔫𝔦 é\ufeff".encode()], random)
    elif way == "flood":
        at = random.randrange(len(events))
        lines = [*map(json_bytes, events[:at]), _flood(events, random), *map(json_bytes, events)]
        stream = b"\n".join(lines)
    return stream, way


def _facts(whole: dict[str, Any], random: Random) -> bytes:
    """What ``edgeferry.devices.machine`` prints."""
    if random.random() < 0.7:
        return json_bytes(changed(whole, random))
    return damaged(json_bytes(whole), [json_bytes(whole)], random)


def _flood(events: list[dict[str, Any]], random: Random) -> bytes:
    """Much of one thing."""
    much = random.choice((10_000, 300_000))
    turn = next(each for each in events if each["event"] == "slice")
    many = {**turn, "slice": {**turn["slice"], "nanoseconds": [1_000] * much}}
    return random.choice(
        (
            b"a" * (70 * much),
            b"\xc3" * much,
            b'{"event": "facts", "when": "before", "facts": ' + b'{"a":' * much,
            b'{"event": "facts", "when": "before", "facts": {"a": '
            + b"[" * 900
            + b"]" * 900
            + b"}}",
            b'{"event": "slice", "trial": 0, "slice": {"nanoseconds": [' + b"9" * much + b"]}}",
            b"\n" * much,
            b'{"event":"x"}\n' * (much // 50),
            b"\n".join([json_bytes(turn)] * (much // 100)),
            json_bytes(many),
        )
    )


_PROGRAM_SAYS = """\
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: count=9 first=2500 curr=2500 min=2400 max=2600 avg=2510 std=9 p5=2400 median=2500 p95=2600
INFO: count=9 first=2500 curr=2500 min=2400 max=2600 avg=2510 std=9 p5=2400 median=2500 p95=2600
INFO: Inference timings in us: Init: 41500, First inference: 81913, Warmup (avg): 2500, \
Inference (avg): 2510
INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.5
"""
_PHONE_FILES = {
    "/proc/meminfo": "MemTotal: 3884508 kB|MemAvailable: 2000000 kB|SwapTotal: 0 kB",
    "/proc/loadavg": "0.50 0.40 0.30 1/500 1234",
    "/proc/stat": "cpu 100 0 100 1000 0 0 0 0 0 0",
    "/proc/vmstat": "pswpin 0|pswpout 0|oom_kill 0",
    "/proc/uptime": "1000.00 3000.00",
    "/proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=100",
    "/sys/devices/system/cpu/online": "0-3",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000",
    "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000",
    "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0",
    "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1": "0x00000000410fd083",
    "/sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "/sys/class/thermal/thermal_zone0/temp": "45000",
    "/sys/class/thermal/thermal_zone0/trip_point_0_temp": "85000",
    "/sys/class/thermal/thermal_zone0/trip_point_0_type": "hot",
}


def _phone_facts() -> bytes:
    files = [f"{name}:{line}" for name, text in _PHONE_FILES.items() for line in text.split("|")]
    told = {"ro.product.model": "Phone", "ro.build.version.release": "14", "uname.machine": "a64"}
    told |= {"ro.build.version.sdk": "34", "ro.soc.model": "chip", "uname.release": "6.1"}
    return "\n".join([*files, *(f"[{name}]: [{value}]" for name, value in told.items())]).encode()


def _renumbered(text: bytes, random: Random) -> bytes:
    """Some numbers replaced."""
    odd = (b"0", b"-1", b"nan", b"inf", b"1e999", b"9" * 30, b"9" * 5000, b".", b"1.2.3", b"0-9999")
    odd += (b"0-9999," * 100_000 + b"0", b"0x" + b"f" * 40, "²".encode(), "٣".encode(), b"")
    words = text.replace(b":", b": ").split(b" ")
    places = [at for at, word in enumerate(words) if any(48 <= byte < 58 for byte in word)]
    for at in random.sample(places, random.choice((1, 1, 3))):
        word = words[at]
        digits = next(i for i, byte in enumerate(word) if 48 <= byte < 58)
        words[at] = word[:digits] + random.choice(odd) + random.choice((b"", b"\n"))
    return b" ".join(words).replace(b": ", b":" if text.startswith(b"/") else b": ")


def _flooded(text: bytes, random: Random) -> bytes:
    """A line that goes on."""
    lines = text.splitlines()
    at = random.randrange(len(lines))
    lines[at] += random.choice((b",0-9999", b" 1", b"a", b"\xff")) * 200_000
    return b"\n".join(lines)


def _damaged_text(text: bytes, random: Random) -> bytes:
    return damaged(text, [text, bytes(range(256))], random)


_DAMAGES = (_renumbered, _renumbered, _damaged_text, _damaged_text, _flooded)
