"""``edgeferry devices``: the user's devices, and the kinds of device that are known."""

from pathlib import Path
from typing import Annotated

import typer

from edgeferry.app.cli_options import Debug, Json

devices_app = typer.Typer(
    name="devices",
    help="Your devices, and the kinds of device that are known.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@devices_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call it.")],
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="E.g. ssh://pi@raspberrypi or adb://SERIAL.")
    ],
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="The kind of device it is.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option("--python", metavar="PATH", help="The Python on it that has the engines."),
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="PATH", help="Where on it files may go.")
    ] = None,
    benchmark_model: Annotated[
        Path | None,
        typer.Option(
            "--benchmark-model",
            metavar="FILE",
            help="TFLite's benchmark_model built for it: for phones.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the device of that name.")
    ] = False,
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Keep a device under a name."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.device_data import settings_data
    from edgeferry.app.results import results_document
    from edgeferry.devices.device import DeviceSettings
    from edgeferry.devices.known import add_device, known_devices

    program = benchmark_model and benchmark_model.expanduser().absolute()
    with session(json, debug):
        settings = DeviceSettings(name, address, profile, python, folder, program)
        file = add_device(settings, replace)
        kept = settings_data(known_devices()[name])
    document = results_document("devices add", [], {"device": kept})
    deliver(document, json, [f"{name} is kept in {file}"])


@devices_app.command("list")
def list_devices(json: Json = None, debug: Debug = False) -> None:
    """List your devices, and the profiles."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.device_data import profile_summary, settings_data
    from edgeferry.app.device_tables import devices_table, profiles_table
    from edgeferry.app.results import results_document
    from edgeferry.devices.known import known_devices
    from edgeferry.devices.profile import profiles

    with session(json, debug):
        devices, kinds = list(known_devices().values()), profiles()
    found = {
        "devices": [settings_data(each) for each in devices],
        "profiles": [profile_summary(each) for each in kinds],
    }
    tables = [devices_table(devices), profiles_table(kinds)]
    deliver(results_document("devices list", [], found), json, tables)


@devices_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A device or a profile.")],
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Show a device's settings and its profile, or a profile, with sources."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.device_data import profile_data, settings_data
    from edgeferry.app.device_tables import profile_tables, settings_table
    from edgeferry.app.results import results_document
    from edgeferry.devices.known import known_devices, resolve_device
    from edgeferry.devices.profile import profiles

    with session(json, debug):
        kinds = {profile.name: profile for profile in profiles()}
        is_kind = name in kinds and name not in known_devices()
        settings = None if is_kind else resolve_device(name)
        profile = kinds.get((settings.profile or "") if settings else name)
    found = {
        "device": settings and settings_data(settings),
        "profile": profile and profile_data(profile),
    }
    tables = [settings_table(settings)] if settings else []
    tables += profile_tables(profile) if profile else []
    deliver(results_document("devices show", [], found), json, tables)


@devices_app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME|ADDRESS", help="A device, or local.")],
    json: Json = None,
    debug: Debug = False,
) -> None:
    """Reach a device, and tell what it is and what it lacks."""
    from edgeferry.app.cli_session import deliver, session
    from edgeferry.app.device_check import check_device
    from edgeferry.app.device_tables import check_table
    from edgeferry.devices.known import resolve_device

    with session(json, debug):
        found = check_device(resolve_device(name))
    failures = {name: "; ".join(found.problems)} if found.problems else {}
    deliver(found.document(), json, [check_table(found)], found.notes, failures)
