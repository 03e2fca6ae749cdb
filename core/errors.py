"""The errors edgeferry raises: each says what is wrong, with what, and what to do about it."""

import errno
import traceback
from collections.abc import Mapping

_NO_MEMORY = (
    "bad_alloc",
    "can't alloc",
    "Cannot allocate memory",
    "Failed to allocate memory",
    "failed to map segment",
    "failed with error '12'",
)
"""What engines and the system say where memory is short."""
_NO_ROOM = "out of memory"
_NO_THREAD = "can't start new thread"
_LACKS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EAGAIN,
    errno.EIO,
)
"""What the system refuses for want of what the user can give: room, processes, a sound disk."""
_PLACES = ("Exception from ", "Check '")
"""How lines begin in which OpenVINO tells where in its source it stopped."""


class EdgeferryError(Exception):
    """Base of every error meant for the user; its text is one or two plain lines.

    Args:
        problem: What is wrong, naming the thing.
        remedy: What the user can do about it; empty where the problem says it all.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class UsageError(EdgeferryError):
    """An option or argument that cannot be meant, or options that contradict each other."""


class SourceError(EdgeferryError):
    """A source model that is missing, damaged, or not of a shape edgeferry can export."""


class ArtifactError(EdgeferryError):
    """An exported file that is missing, damaged, or of an unknown kind."""


class ContractError(EdgeferryError):
    """A contract that is missing, malformed, or written by a newer edgeferry."""


class ImageError(EdgeferryError):
    """A picture or array that cannot be turned into the network's input."""


class CalibrationError(EdgeferryError):
    """A calibration set that is missing, empty or unreadable."""


class LabelError(EdgeferryError):
    """Labels that do not fit the network, or a name that matches none of them."""


class OutputError(EdgeferryError):
    """An output folder or file that exists already or cannot be written."""


class MissingDependencyError(EdgeferryError):
    """A package that is not installed; the remedy names the extra that brings it."""


class EngineError(EdgeferryError):
    """An inference engine or converter refused or failed."""


class DeviceError(EdgeferryError):
    """A device that cannot be reached, refused a command, or did not answer as it should."""


class DeviceLostError(DeviceError):
    """A device that was there and is gone: what was measured until then still holds."""


class TimeLimitError(DeviceError):
    """A command that took longer on a device than it may; it was ended there."""


def described_error(error: Exception, doing: str) -> dict[str, str]:
    """An error as plain data, for the process that waits for an answer.

    Args:
        error: Any; a foreign one becomes an ``EngineError``.
        doing: What failed, for the text of a foreign one.
    """
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, EdgeferryError):
        own = {"type": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
    else:
        problem = f"{doing} failed: {type(error).__name__}: {reason_of(error)}"
        own = {"type": EngineError.__name__, "problem": problem, "remedy": ""}
    return {**own, "trace": trace}


def rebuilt_error(content: Mapping[str, str]) -> EdgeferryError:
    """The error that ``described_error`` described."""
    kinds = {kind.__name__: kind for kind in EdgeferryError.__subclasses__()}
    error = kinds.get(content["type"], EngineError)(content["problem"], content["remedy"])
    error.add_note(content["trace"])
    return error


def lack_of(error: BaseException) -> str:
    """What the machine lacks that an error comes from: room on a disk, memory; empty if nothing."""
    if isinstance(error, OSError) and error.errno in _LACKS:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return f"{_NO_THREAD}: memory is short, or too many processes run"
    return _NO_ROOM if reason_of(error) == _NO_ROOM else ""


def reason_of(error: BaseException) -> str:
    """What an error says that is not ours, in one line."""
    text = str(error).strip()
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return _NO_ROOM
    lines = (line.strip() for line in text.splitlines() if not line.startswith(_PLACES))
    return next(filter(None, lines), repr(error))


def was_interrupted(error: BaseException | None, handled: BaseException | None = None) -> bool:
    """Whether Ctrl-C is behind an error: native modules make one of their own of it.

    Args:
        error: The error.
        handled: What was being handled already before the work began, and is not behind it.
    """
    while error is not None and error is not handled:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def process_ending(code: int) -> str:
    """How a child process ended that gave no answer, in words."""
    if code == -9:
        return "signal 9: probably out of memory"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
