"""The user's own devices, in a file of theirs."""

import os
import re
from dataclasses import fields
from dataclasses import replace as replaced
from os.path import expanduser
from pathlib import Path
from typing import Any

from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.profile import Profile, profile_named, profiles
from edgeferry.devices.registry import TRANSPORTS
from edgeferry.devices.toml_tables import TomlTable, nearest, read_toml
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_write_text
from edgeferry.registry import is_installed, missing_dependency

LOCAL = "local"
_KEYS = tuple(each.name for each in fields(DeviceSettings) if each.name != "name")


def devices_file() -> Path:
    """Where the user's devices are kept, whether it is there or not.

    It is ``devices.toml`` in ``$EDGEFERRY_CONFIG``, else in ``edgeferry`` of
    ``$XDG_CONFIG_HOME`` (XDG Base Directory Specification), else in ``~/.config/edgeferry``.
    """
    if own := os.environ.get("EDGEFERRY_CONFIG"):
        return Path(own).expanduser() / "devices.toml"
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "edgeferry" / "devices.toml"


def known_devices() -> dict[str, DeviceSettings]:
    """The user's devices by name, in the order of the file; none where there is no file.

    Raises:
        UsageError: If the file is malformed.
    """
    file = devices_file()
    content = read_toml(file) if file.exists() else {}
    return {name: _read(file, name, table) for name, table in content.items()}


def add_device(settings: DeviceSettings, replace: bool = False) -> Path:
    """Keep a device in the user's file; what else stands there stays as it is.

    Args:
        settings: The device.
        replace: Whether it may take the place of one of its name.

    Returns:
        The file.

    Raises:
        UsageError: If the name is taken, a setting cannot be meant, or the file is malformed.
        MissingDependencyError: If tomlkit is not installed.
        OutputError: If the file cannot be written.
    """
    _check_name(settings.name)
    settings = _checked(settings)
    file = devices_file()
    if settings.name in known_devices() and not replace:
        raise UsageError(
            f"there is a device {settings.name!r} in {file} already",
            "Choose another name, or replace it with --replace",
        )
    if settings.benchmark_model and not settings.benchmark_model.is_file():
        raise UsageError(f"there is no file {settings.benchmark_model}")
    text = _with_device(file, settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {file.parent}: {error.strerror}") from error
    atomic_write_text(file, text)
    return file


def resolve_device(text: str) -> DeviceSettings:
    """The device that a user means.

    Args:
        text: ``local``, an address such as ``ssh://user@host``, or the name of a known device.

    Raises:
        UsageError: If it is none of these; how to say it right is told.
    """
    if text == LOCAL or "://" in text:
        return _checked(DeviceSettings(text, text))
    devices = known_devices()
    if text in devices:
        return devices[text]
    kinds = {profile.name: profile for profile in profiles()}
    if text in kinds:
        raise UsageError(f"{text!r} is a kind of device: which one?", _ways_to(kinds[text]))
    raise UsageError(
        f"there is no device {text!r}; nearest: {nearest(text, [LOCAL, *devices, *kinds])}",
        "Add it: edgeferry devices add NAME ADDRESS --profile PROFILE",
    )


def _read(file: Path, name: str, content: Any) -> DeviceSettings:
    table = TomlTable(content, f"{file}, device {name}", _KEYS)
    program = table.maybe("benchmark_model", str)
    settings = DeviceSettings(
        name=name,
        address=table.take("address", str),
        profile=table.maybe("profile", str),
        python=table.maybe("python", str),
        folder=table.maybe("folder", str),
        benchmark_model=file.parent / expanduser(program) if program else None,
    )
    try:
        _check_name(name)
        return _checked(settings)
    except UsageError as error:
        raise UsageError(f"{table.where}: {error.problem}", error.remedy) from error


def _check_name(name: str) -> None:
    if name == LOCAL or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UsageError(
            f"a device cannot be named {name!r}",
            f"Letters, digits, - and _ make a name; {LOCAL} is this machine",
        )


def _checked(settings: DeviceSettings) -> DeviceSettings:
    """The settings, if they can be meant; an emulated device's profile is that of its address."""
    scheme, separator, rest = settings.address.partition("://")
    if scheme not in TRANSPORTS.entries() or bool(separator) == (scheme == LOCAL):
        raise UsageError(
            f"{settings.address!r} is no address of a device",
            f"{LOCAL}, ssh://user@host, adb://serial and emulated://raspberry-pi-4 are",
        )
    if settings.profile is not None:
        profile_named(settings.profile)
    if scheme != "emulated":
        return settings
    if profile_named(rest).emulated_cpu is None:
        able = ", ".join(profile.name for profile in profiles() if profile.emulated_cpu)
        raise UsageError(f"{rest} cannot be emulated; these can: {able}")
    if settings.profile not in (None, rest):
        raise UsageError(f"{settings.address} is of the profile {rest}, not {settings.profile}")
    return replaced(settings, profile=rest)


def _ways_to(profile: Profile) -> str:
    address = "adb://serial" if profile.system.python is None else "ssh://user@host"
    way = f"edgeferry devices add NAME {address} --profile {profile.name}"
    return f"{way}, or emulated://{profile.name}" if profile.emulated_cpu else way


def _with_device(file: Path, settings: DeviceSettings) -> str:
    """The file's text with a device in it, comments and order kept."""
    if not is_installed("tomlkit"):
        raise missing_dependency("adding a device", ("tomlkit",), "cli")
    import tomlkit

    document = tomlkit.parse(file.read_text(encoding="utf-8") if file.exists() else "")
    if settings.name not in document:
        document[settings.name] = tomlkit.table()
    table = document[settings.name]
    for key in _KEYS:
        value = getattr(settings, key)
        if value is not None:
            table[key] = str(value)
        elif key in table:
            del table[key]
    return tomlkit.dumps(document)
