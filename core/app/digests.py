"""One digest of many files: the same for the same files, wherever they lie."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from edgeferry.files import sha256_of
from edgeferry.pictures import PictureFile


def pictures_digest(pictures: Iterable[PictureFile]) -> str:
    """SHA-256 over names, classes and contents, hexadecimal; one that cannot be read counts too.

    Args:
        pictures: In order.
    """
    digest = hashlib.sha256()
    for picture in pictures:
        try:
            content = sha256_of(picture.path)
        except OSError:
            content = "unreadable"
        digest.update(f"{picture.path.name}\0{picture.class_name}\0{content}\n".encode())
    return digest.hexdigest()


def path_digest(path: Path | None) -> str | None:
    """SHA-256 of a file, or over all files of a folder; None where there is none."""
    if path is None or not path.exists():
        return None
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()
