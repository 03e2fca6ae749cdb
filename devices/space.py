"""What is said when a device's disk is full."""

from edgeferry.errors import DeviceError


def no_space(name: str, device: str, needed: int, free: int) -> DeviceError:
    """The error for a file that does not fit.

    Args:
        name: The file.
        device: What the user calls the device.
        needed: Bytes that it takes.
        free: Bytes that are left.
    """
    problem = f"there is no space for {name} on {device}"
    return DeviceError(f"{problem}: it needs {_megabytes(needed)}, {_megabytes(free)} are free")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
