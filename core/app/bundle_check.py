"""A bundle, held to its ``SHA256SUMS``, and that to its signature."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgeferry.app.archive_reader import SIGNATURE, SUMS, Contents
from edgeferry.app.reading_limits import MOST_FILES, MOST_KEPT
from edgeferry.app.signatures import check_signature
from edgeferry.errors import ArtifactError
from edgeferry.files import sha256_of
from edgeferry.sealing import is_digest

SITE = ("site", "site.unfinished")
"""Folders of what ``run.py --setup`` installs; no part of the bundle."""


def read_folder(folder: Path, signed: bool = False) -> Contents:
    """What an unpacked bundle holds, but for what its setup installed.

    Args:
        folder: The bundle.
        signed: Whether all in it has to be signed: then nothing may be installed.

    Raises:
        ArtifactError: If anything in it is no plain file, cannot be read, or may not be there.
    """
    found = Contents()
    for name in SITE if signed else ():
        if os.path.lexists(folder / name):
            raise ArtifactError(
                f"{name} in it was installed, and is not signed",
                "run.py --key PUB.pem checks it; or remove it: --setup makes it anew",
            )
    try:
        for name, path in _files(folder):
            if len(found.digests) == MOST_FILES:
                raise ArtifactError(f"{folder} holds more than {MOST_FILES} files")
            found.digests[name] = sha256_of(path)
        found.sums, found.signature = _kept(folder / SUMS), _kept(folder / SIGNATURE)
    except OSError as error:
        raise ArtifactError(f"cannot read {folder}: {error.strerror or error}") from error
    return found


def check_contents(contents: Contents, key: Path | None) -> None:
    """See that a bundle holds just what it lists, and was signed if a key is given.

    Args:
        contents: What it holds.
        key: PEM file of an Ed25519 public key.

    Raises:
        ArtifactError: If it does not, or was not.
        UsageError: If the key is none.
        MissingDependencyError: If a key is given and ``cryptography`` is not installed.
    """
    if contents.sums is None:
        raise ArtifactError(f"it holds no {SUMS}: it is no bundle of edgeferry")
    if key is not None:
        if contents.signature is None:
            raise ArtifactError("it is not signed", "Make it with --sign KEY.pem")
        check_signature(key, contents.sums, contents.signature)
    listed = read_sums(contents.sums)
    for name, digest in listed.items():
        if name not in contents.digests:
            raise ArtifactError(f"{name} is missing in it")
        if contents.digests[name] != digest:
            raise ArtifactError(f"{name} in it was changed or damaged since it was bundled")
    for name in sorted(contents.digests.keys() - listed.keys() - {SUMS, SIGNATURE}):
        raise ArtifactError(f"{name} in it is no part of the bundle: {SUMS} does not list it")


def read_sums(content: bytes) -> dict[str, str]:
    """Digests by file name.

    Raises:
        ArtifactError: If a line is malformed, or names a file again.
    """
    listed: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        digest, gap, name = line[:64], line[64:66], line[66:]
        strange = not name or name in listed or name in (SUMS, SIGNATURE)
        if not is_digest(digest) or gap != "  " or strange:
            raise ArtifactError(f"a line of its {SUMS} is damaged: {line!r:.80}")
        listed[name] = digest
    return listed


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, files in os.walk(folder, onerror=_refuse):
        here = Path(root)
        if here == folder:
            folders[:] = [name for name in folders if name not in SITE]
        for path in (here / name for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise ArtifactError(f"{path} is no plain file")
        yield from (((here / name).relative_to(folder).as_posix(), here / name) for name in files)


def _refuse(error: OSError) -> None:
    raise error


def _kept(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        content = file.read(MOST_KEPT + 1)
    if len(content) > MOST_KEPT:
        raise ArtifactError(f"{path} is too large")
    return content
