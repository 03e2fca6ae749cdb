"""Tables of devices and profiles, for humans; what varies or is not said is a dash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edgeferry.app.tables import MISSING

if TYPE_CHECKING:
    from rich.table import Table

    from edgeferry.app.device_check import DeviceCheck
    from edgeferry.devices.device import DeviceSettings
    from edgeferry.devices.profile import Note, Profile, System

_TOLD = (
    "system",
    "architecture",
    "board",
    "processor",
    "physical_cores",
    "memory_mb",
    "available_mb",
    "governor",
    "temperature_c",
    "load_average",
    "python",
)
"""The first things to know of a machine."""
_RECIPES = {"arm": "s8/s8 (arm)", "x86": "u8/s8 (x86)"}


def devices_table(devices: Iterable[DeviceSettings]) -> Table:
    """The user's devices."""
    table = _table("device", "address", "profile", title="Your devices")
    for each in devices:
        table.add_row(each.name, each.address, each.profile or MISSING)
    if not table.rows:
        table.add_row("none yet", "edgeferry devices add NAME ADDRESS --profile PROFILE", "")
    return table


def profiles_table(profiles: Iterable[Profile]) -> Table:
    """The kinds of device."""
    titles = ("profile", "device", "processor", "MiB", "formats", "runtimes", "emulated")
    table = _table(*titles, title="Profiles")
    for each in profiles:
        memory = _range(each.memory_mib)
        runtimes = ", ".join(each.installable) or MISSING
        emulated = "yes" if each.emulated_cpu else ""
        formats = ", ".join(each.formats)
        table.add_row(each.name, each.title, _processor(each), memory, formats, runtimes, emulated)
    return table


def settings_table(settings: DeviceSettings) -> Table:
    """What a device's owner says of it."""
    table = _table("setting", "value", title=settings.name)
    program = settings.benchmark_model
    facts = {
        "address": settings.address,
        "profile": settings.profile,
        "python": settings.python,
        "folder": settings.folder,
        "benchmark_model": str(program) if program else None,
    }
    for name, value in facts.items():
        table.add_row(name, value or MISSING)
    return table


def profile_tables(profile: Profile) -> list[Table]:
    """A kind of device: facts, systems and what they can install, notes; each with its source."""
    facts = {
        "isa": profile.isa,
        "features": " ".join(profile.features),
        "core": profile.core,
        "cores": _text(profile.cores),
        "clock_mhz": _text(profile.clock_mhz),
        "memory_mib": ", ".join(map(str, profile.memory_mib)),
        "formats": ", ".join(profile.formats),
        "target": _RECIPES[profile.target],
        "threads": _text(profile.threads),
        "emulated_cpu": profile.emulated_cpu,
    }
    table = _table("fact", "value", "source", title=f"{profile.name}: {profile.title}")
    for name, value in facts.items():
        table.add_row(name, value or MISSING, profile.sources.get(name, ""))
    notes = [*profile.notes, *(note for system in profile.systems for note in system.notes)]
    return [table, *map(_system_table, profile.systems), _notes_table(notes)]


def check_table(check: DeviceCheck) -> Table:
    """What a device said of itself."""
    table = _table("fact", "value", title=check.settings.name)
    for name in _TOLD:
        value = check.facts.get(name)
        table.add_row(name, MISSING if value is None else str(value))
    table.add_row("isa", " ".join(check.facts.get("isa") or ()) or MISSING)
    for engine, version in check.engines.items():
        table.add_row(engine, version or "not installed")
    return table


def _system_table(system: System) -> Table:
    title = f"{system.name}: {system.title}"
    table = _table("what", "version", "wheel", "source", title=title)
    table.add_row("libc", system.libc, "", system.sources.get("libc", ""))
    table.add_row("python", system.python or "none", "", system.sources.get("python", ""))
    for each in system.runtimes:
        version = f"{each.package} {each.version}" if each.version else MISSING
        table.add_row(each.name, version, each.tag or each.reason or "", each.source)
    return table


def _notes_table(notes: Iterable[Note]) -> Table:
    table = _table("to know", "source", title="Notes")
    for note in notes:
        table.add_row(note.text, note.source)
    return table


def _processor(profile: Profile) -> str:
    if profile.core is None:
        return profile.isa
    return f"{profile.cores} x {profile.core}, {profile.clock_mhz} MHz, {profile.isa}"


def _range(sizes: Sequence[int]) -> str:
    if not sizes:
        return MISSING
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}-{sizes[-1]}"


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _table(*columns: str, title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
