"""The ways to reach a device, by the scheme of its address."""

from edgeferry.devices.device import Device, DeviceSettings
from edgeferry.errors import UsageError
from edgeferry.progress import logger
from edgeferry.registry import Entry, Registry

_log = logger(__name__)
TRANSPORTS = Registry(
    "device transport",
    "edgeferry.devices",
    {
        "local": Entry("edgeferry.devices.local_device:LocalDevice"),
        "ssh": Entry("edgeferry.devices.ssh_device:SshDevice", requires=("asyncssh",), extra="ssh"),
        "adb": Entry("edgeferry.devices.adb_device:AdbDevice"),
        "emulated": Entry("edgeferry.devices.emulated_device:EmulatedDevice"),
    },
)
"""Every transport; its class takes ``DeviceSettings`` alone."""


def open_device(settings: DeviceSettings) -> Device:
    """The device at an address; it is reached when first used.

    Raises:
        UsageError: If the address is none.
        MissingDependencyError: If the transport needs a package that is not installed.
    """
    scheme, _, _ = settings.address.partition("://")
    if scheme not in TRANSPORTS.entries():
        known = ", ".join(TRANSPORTS.entries())
        raise UsageError(f"{settings.address!r} is no address of a device; ways: {known}")
    _log.info("device %s at %s", settings.name, settings.address)
    device: Device = TRANSPORTS.load(scheme)(settings)
    return device
