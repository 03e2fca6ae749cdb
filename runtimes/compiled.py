"""Where engines keep what they compiled of an artifact, so that the next start is faster."""

import platform
from collections.abc import Iterator
from pathlib import Path

from edgeferry.artifact import artifact_files
from edgeferry.errors import UsageError
from edgeferry.system import read_text

_PROCESSOR_FACTS = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")


def compiled_folder(cache: Path, artifact: Path, engine: str, root: Path = Path("/")) -> Path:
    """Make the folder for what an engine compiled of an artifact.

    Another file, another version of the engine or another processor has another folder: what
    was compiled for one may be wrong for the next. Old folders are left; deleting them is safe.

    Args:
        cache: The user's folder for all of them.
        artifact: The file; its path, size and time of change tell it from others.
        engine: The engine's name and version.
        root: Where ``proc`` is found.

    Raises:
        UsageError: If it cannot be made.
    """
    from hashlib import sha256

    facts = "\n".join([engine, *_stamps(artifact), *_processor(root)])
    folder = cache / sha256(facts.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot keep compiled models in {cache}: {error.strerror or error}"
        ) from error
    return folder


def _stamps(artifact: Path) -> Iterator[str]:
    for file in artifact_files(artifact):
        known = file.stat()
        yield f"{file.absolute()} {known.st_size} {known.st_mtime_ns}"


def _processor(root: Path) -> list[str]:
    first, _, _ = read_text(root / "proc/cpuinfo").partition("\n\n")
    return [platform.machine(), *(x for x in first.splitlines() if x.startswith(_PROCESSOR_FACTS))]
