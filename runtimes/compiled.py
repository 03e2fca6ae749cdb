"""Where engines keep what they compiled of an artifact, so that the next start is faster."""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeferry.artifact import artifact_files
from edgeferry.checked import read_json
from edgeferry.contract import IntegrityInfo
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_write_text, sha256_of
from edgeferry.progress import logger
from edgeferry.system import read_text

_log = logger(__name__)
_DIGESTS = ".digests.json"
_PROCESSOR_FACTS = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")


def compiled_folder(
    cache: Path,
    artifact: Path,
    engine: str,
    root: Path = Path("/"),
    integrity: IntegrityInfo | None = None,
) -> Path:
    """Make the folder for what an engine compiled of an artifact.

    Another file, another version of the engine or another processor has another folder: what
    was compiled for one may be wrong for the next. Old folders are left; deleting them is safe.

    Args:
        cache: The user's folder for all of them.
        artifact: The file; its path, size, time of change and digest tell it from others.
        engine: The engine's name and version.
        root: Where ``proc`` is found.
        integrity: The digests that the artifact was held to; None takes those of its files.

    Raises:
        UsageError: If it cannot be made.
    """
    from hashlib import sha256

    told = repr(integrity) if integrity else "\n".join(map(sha256_of, artifact_files(artifact)))
    facts = "\n".join([engine, told, *_stamps(artifact), *_processor(root)])
    folder = cache / sha256(facts.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot keep compiled models in {cache}: {error.strerror or error}"
        ) from error
    return folder


@contextmanager
def kept_whole(folder: Path) -> Iterator[Path]:
    """Give the folder, in which an engine finds only what it left there, byte for byte.

    With a damaged one, engines give other answers without a word, or wait forever (ONNX Runtime
    1.32.0, OpenVINO 2026.4.1). What is damaged is removed, so that it is made again; where that
    cannot be, the folder given is an empty one that is gone afterwards.

    Args:
        folder: The engine's; what it keeps there when the block ends is noted by digest.
    """
    with _alone(folder):
        whole = _cleaned(folder)
        if whole is None:
            with TemporaryDirectory(prefix="edgeferry-") as other:
                yield Path(other)
            return
        yield folder
        with suppress(OSError, OutputError):  # then it is made again
            if whole != {each.name for each in _kept(folder)}:
                atomic_write_text(folder / _DIGESTS, json.dumps(_digests(folder)))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let other processes wait, or they would note what is half written, and this one then dies."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):  # a system or a disk that has no such locks
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
            stack.callback(fcntl.flock, handle, fcntl.LOCK_UN)  # of a forked child's copy too
        yield


def _cleaned(folder: Path) -> set[str] | None:
    """Remove what is not whole; the names of what is, or None where that cannot be."""
    noted = _noted(folder)
    try:
        whole = {name for name, digest in _digests(folder).items() if noted.get(name) == digest}
        for each in _kept(folder):
            if each.name not in whole:
                _log.info("%s is not as it was left: removed", each)
                _remove(each)
    except OSError as error:
        _log.info("%s is done without: %s", folder, error.strerror or error)
        return None
    return whole


def _remove(each: Path) -> None:
    if each.is_dir() and not each.is_symlink():
        shutil.rmtree(each)
    else:
        each.unlink(missing_ok=True)


def _kept(folder: Path) -> list[Path]:
    """What is finished; hidden files are ours."""
    return [each for each in folder.iterdir() if not each.name.startswith(".")]


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for each in _kept(folder):
        with suppress(OSError):  # another process found it damaged, or it cannot be read
            if each.is_file():
                found[each.name] = sha256_of(each)
    return found


def _noted(folder: Path) -> dict[str, str]:
    try:
        return dict(read_json((folder / _DIGESTS).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _stamps(artifact: Path) -> Iterator[str]:
    for file in artifact_files(artifact):
        known = file.stat()
        yield f"{file.absolute()} {known.st_size} {known.st_mtime_ns}"


def _processor(root: Path) -> list[str]:
    first, _, _ = read_text(root / "proc/cpuinfo").partition("\n\n")
    return [platform.machine(), *(x for x in first.splitlines() if x.startswith(_PROCESSOR_FACTS))]
