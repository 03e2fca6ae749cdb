"""Device profiles, the user's devices and settings: TOML of every shape."""

from __future__ import annotations

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import tomlkit  # noqa: TID253

from edgeferry.app.cli import command_line
from edgeferry.app.console import show
from edgeferry.app.device_tables import devices_table, profiles_table
from edgeferry.app.settings import find_settings
from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.known import add_device, known_devices
from edgeferry.devices.profile_files import PINS, read_profiles
from fuzz.damage import damaged
from fuzz.shapes import changed
from fuzz.target import Target

_DEVICES = {
    "pi": {"address": "ssh://me@pi:2222", "profile": "raspberry-pi-4", "python": "edge/bin/python"},
    "phone": {"address": "adb://serial", "folder": "/data/local/tmp", "benchmark_model": "b"},
}
_SETTINGS = {
    "export": {"preprocessing": "caffe", "calibration": "pictures", "formats": ["tflite"]},
    "predict": {"top-k": 3, "least-score": 0.5, "compare": ["a.onnx"]},
    "benchmark": {"tune": True, "engine-setting": ["spinning=off"], "device": "pi"},
    "devices": {"list": {"json": "-"}},
}
_PROJECT = {"project": {"name": "x"}, "tool": {"edgeferry": _SETTINGS, "other": {"a": 1}}}
_OWN = {"devices.toml": _DEVICES, "edgeferry.toml": _SETTINGS, "pyproject.toml": _PROJECT}


class Profiles(Target):
    """What the command line reads of TOML."""

    full: ClassVar[int] = 2000
    quick: ClassVar[int] = 100
    memory_mb: ClassVar[int] = 64

    def __init__(self, artifacts: Path, scratch: Path) -> None:
        super().__init__(artifacts, scratch)
        folder = files("edgeferry.devices")
        self._shipped = {PINS: folder.joinpath(PINS).read_bytes()}
        for part in ("profiles", "systems"):
            for file in folder.joinpath(part).iterdir():
                self._shipped[f"{part}/{file.name}"] = file.read_bytes()
        self._command = command_line()

    def make(self, random: Random, folder: Path) -> str:
        name = random.choice([*_OWN, *_OWN, *self._shipped])
        whole = tomlkit.dumps(_OWN[name]).encode() if name in _OWN else self._shipped[name]
        written = {} if name in _OWN else dict(self._shipped)
        for each, data in {**written, name: _broken_toml(whole, random)}.items():
            (folder / each).parent.mkdir(exist_ok=True)
            (folder / each).write_bytes(data)
        return name

    def run(self, folder: Path) -> None:
        if (folder / PINS).exists():
            show(profiles_table(read_profiles(folder)))
        elif (folder / "devices.toml").exists():
            os.environ["EDGEFERRY_CONFIG"] = str(folder)
            show(devices_table(known_devices().values()))
            add_device(DeviceSettings("new", "ssh://a@b"))
        elif (settings := find_settings(folder)) is not None:
            settings.defaults(self._command)
            for name in _SETTINGS:
                settings.spelled_out(self._command, [name])


def _broken_toml(whole: bytes, random: Random) -> bytes:
    way = random.random()
    if way < 0.25:
        return damaged(whole, [whole], random)
    if way < 0.35:
        return random.choice(_ODD)
    document = changed(tomllib.loads(whole.decode()), random)
    try:
        return tomlkit.dumps(_without_none(document)).encode("utf-8", "surrogatepass")
    except Exception:  # what TOML cannot say
        return damaged(whole, [whole], random)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if each is not None}
        return {key: _without_none(each) for key, each in kept.items()}
    if isinstance(value, list):
        return [_without_none(each) for each in value if each is not None]
    return value


_ODD = (
    b"",
    b"\xff\xfe",
    b"a = " + b"[" * 5000,
    b"a = " + b"{b = " * 5000,
    b".".join([b"a"] * 1000) + b" = 1",
    b"[" + b".".join([b"a"] * 1000) + b"]",
    b"a = 99999999999999999999999999999",
    b"a = " + b"9" * 5000,
    b"a = nan\nb = inf",
    b"a = 9999-99-99T99:99:99Z",
    b'"" = 1\n"\\u0000" = 2\n',
    b"export = 1\n",
    b"export = []\n[[predict]]\n",
    b"tool = 1\nedgeferry = 1\n",
    b"[tool]\nedgeferry = 5\n",
    b"[pi]\naddress = 'ssh://me@pi:99999999'\n",
    b"[pi]\naddress = 'ssh://-oProxyCommand=touch%20x@pi'\n",
    b"[pi]\naddress = 'emulated://../../x'\n",
    b"[pi]\naddress = ''\nbenchmark_model = '~nobody-at-all/x'\n",
    b"[export]\ncalibration = '~nobody-at-all/x'\n",
    b'[export]\ncalibration = "a\\u0000b"\n',
)
