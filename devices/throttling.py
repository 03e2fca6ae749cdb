"""Raspberry Pi's own word on whether its firmware holds the processor back.

The bits: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

from edgeferry.system import read_text

CONDITIONS = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
"""What bits 0 to 3 tell of now."""
SINCE_BOOT = 16
"""How much higher the bits are that tell the same of the time since boot."""
_TIME_LIMIT = 2


def throttling(root: Path = Path("/")) -> dict[str, Any] | None:
    """Whether the supply is too weak, the clock capped, and so on; None on other machines.

    ``vcgencmd`` is asked first: it needs a process, but remembers since boot what happened.

    Args:
        root: Where ``sys`` is found, and ``usr/bin`` unless it is ``/``.

    Returns:
        ``raw``, the whole word, and under ``now`` and ``since_boot`` each of ``CONDITIONS`` as
        a boolean.
    """
    word = program_word(root)
    if word is None:
        word = file_word(root)
    return None if word is None else decoded(word)


def decoded(word: int) -> dict[str, Any]:
    """The conditions of a throttling word by name."""
    return {
        "raw": word,
        "now": _bits(word),
        "since_boot": _bits(word >> SINCE_BOOT),
    }


def file_word(root: Path = Path("/")) -> int | None:
    """The throttling word that the kernel saw last, at most some seconds ago.

    The kernel resets the upper bits whenever it looks, every 2 s: here they do not tell of the
    time since boot (``drivers/hwmon/raspberrypi-hwmon.c``). Reading it costs no process.
    """
    for path in root.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled"):
        return _hexadecimal(read_text(path))
    return None


def program_word(root: Path = Path("/")) -> int | None:
    """The throttling word that the firmware tells ``vcgencmd``."""
    name, _, value = vcgencmd("get_throttled", root).partition("=")
    return _hexadecimal(value) if name.strip() == "throttled" else None


def vcgencmd(request: str, root: Path = Path("/")) -> str:
    """What Raspberry Pi's firmware answers; empty where there is none or it refuses.

    Args:
        request: E.g. ``get_throttled``.
        root: The program is looked for on ``PATH``; below another root in its ``usr/bin``.
    """
    program = shutil.which("vcgencmd", path=None if root == Path("/") else root / "usr/bin")
    if program is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            [program, request],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT,
        )
        return answer.stdout.decode(errors="replace") if answer.returncode == 0 else ""
    return ""


def _bits(word: int) -> dict[str, bool]:
    return {name: bool(word >> bit & 1) for bit, name in enumerate(CONDITIONS)}


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16) & 0xFFFFFFFF
    except ValueError:
        return None
