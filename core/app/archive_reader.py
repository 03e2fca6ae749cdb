"""Archives of any origin, read without unpacking: the digest of each file in them.

Nothing but plain files below one folder is accepted, and not more than a bundle can hold. Memory
stays flat, whatever an archive says of itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from edgeferry.app.archive_names import split_name
from edgeferry.app.reading_limits import MOST_FILES, MOST_KEPT, Allowance
from edgeferry.app.tar_reader import own_tar_digest, read_tar
from edgeferry.app.zip_reader import own_zip_digest, read_zip
from edgeferry.errors import ArtifactError
from edgeferry.sealing import is_digest, sealed_digest

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"

Chunks = Iterable[bytes]
Files = Iterator[tuple[str, Chunks | None]]
"""Names with contents; None for a folder."""


@dataclass
class Contents:
    """What a bundle holds.

    Attributes:
        digests: SHA-256 of each file, by its name below the one folder.
        sums: The bytes of ``SHA256SUMS``, None where there is none.
        signature: Those of ``SHA256SUMS.sig``, likewise.
    """

    digests: dict[str, str] = field(default_factory=dict)
    sums: bytes | None = None
    signature: bytes | None = None


@dataclass(frozen=True)
class _Kind:
    """A kind of archive: what gives its digest of itself, and its files in turn."""

    own_digest: Callable[[Path], str | None]
    read: Callable[[Path, Allowance], Files]


_TAR, _ZIP = _Kind(own_tar_digest, read_tar), _Kind(own_zip_digest, read_zip)
_KINDS = {".tar.gz": _TAR, ".tgz": _TAR, ".zip": _ZIP}


def is_archive(path: Path) -> bool:
    """Whether a file is named like an archive."""
    return path.name.lower().endswith(tuple(_KINDS))


def read_archive(path: Path) -> Contents:
    """Read an archive through, once its digest of itself, if it has one, shows it is whole.

    Raises:
        ArtifactError: If it was changed since it was written, is damaged, or is no archive of
            plain files below one folder.
    """
    kind = next(each for suffix, each in _KINDS.items() if path.name.lower().endswith(suffix))
    try:
        _check_whole(path, kind.own_digest(path))
        return _contents(kind.read(path, Allowance.for_file(path)))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.problem}", error.remedy) from error
    except Exception as error:  # readers of damaged files fail in many ways
        raise ArtifactError(f"{path} is damaged, or no archive: {error}") from error


def _check_whole(path: Path, own: str | None) -> None:
    """See that an archive is as edgeferry wrote it; what another program packed has no digest."""
    if own is not None and not (is_digest(own) and sealed_digest(path, own) == own):
        raise ArtifactError(
            "it was changed or damaged since it was written: its digest does not match",
            "Copy it anew from where it was made, or bundle again",
        )


def _contents(files: Files) -> Contents:
    found, top, in_folders = Contents(), "", set[str]()
    for path, chunks in files:
        root, name = _split(f"{path}/x" if chunks is None else path)
        top = top or root
        if root != top:
            raise ArtifactError(f"it holds {root!r} beside {top!r}")
        if chunks is None:
            in_folders.add(name)
            continue
        if name in found.digests:
            raise ArtifactError(f"it holds {name} twice")
        if len(found.digests) == MOST_FILES:
            raise ArtifactError(f"it holds more than {MOST_FILES} files")
        _take(found, name, chunks)
    _check_folders((*found.digests, *in_folders), found.digests.keys())
    return found


def _check_folders(names: Iterable[str], files: Set[str]) -> None:
    for name in names:
        while name := name.rpartition("/")[0]:
            if name in files:
                raise ArtifactError(f"it holds {name} as a file and as a folder")


def _split(path: str) -> tuple[str, str]:
    try:
        return split_name(path)
    except ValueError as error:
        raise ArtifactError(f"it holds {error}") from error


def _take(found: Contents, name: str, chunks: Chunks) -> None:
    digest, kept = hashlib.sha256(), b""
    for chunk in chunks:
        digest.update(chunk)
        if name in (SUMS, SIGNATURE):
            kept += chunk
            if len(kept) > MOST_KEPT:
                raise ArtifactError(f"its {name} is too large")
    found.digests[name] = digest.hexdigest()
    if name == SUMS:
        found.sums = kept
    elif name == SIGNATURE:
        found.signature = kept
