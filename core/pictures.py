"""Finding pictures: in a folder, flat or one sub-folder for each class, or listed in a CSV."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeferry.errors import ImageError
from edgeferry.labels import match_answer

_EXPECTED = "Give a folder of pictures, or a .csv list: file,label"
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow knows but decodes only with the help of another program."""


@dataclass(frozen=True)
class PictureFile:
    """A picture and the class that its folder or list names.

    Attributes:
        path: The file.
        class_name: Name of the class; None where there is none.
    """

    path: Path
    class_name: str | None


@dataclass(frozen=True)
class LabeledPicture:
    """A picture and its true class.

    Attributes:
        path: The file.
        index: Class index; None where it is not known. Of a network with one class, 1 or 0.
    """

    path: Path
    index: int | None


def find_pictures(path: Path) -> list[PictureFile]:
    """All pictures at a path, in an order that does not depend on the file system.

    Args:
        path: A folder, flat or with one sub-folder for each class (pictures may lie deeper;
            links to folders are followed, hidden files passed over), or a CSV of
            ``file,label``, with or without a header, whose files are relative to it.

    Raises:
        ImageError: If it is missing, unreadable, or holds no picture.
    """
    try:
        found = _in_folder(path) if path.is_dir() else _in_csv(path)
    except FileNotFoundError as error:
        raise ImageError(f"there is no folder of pictures {path}", _EXPECTED) from error
    except OSError as error:
        where = error.filename or path
        raise ImageError(f"cannot read {where}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise ImageError(f"{path} is no list of pictures: {error}", _EXPECTED) from error
    if not found:
        raise ImageError(f"{path} holds no pictures", "Put image files there, e.g. .jpg or .png")
    return found


def labeled_pictures(
    path: Path, labels: Sequence[str] | None, classes: int
) -> list[LabeledPicture]:
    """All pictures at a path with their true classes, matched by name as ``match_answer`` does.

    Raises:
        ImageError: If there is none.
        LabelError: If a name matches no label.
    """
    pictures = find_pictures(path)
    names = {picture.class_name for picture in pictures if picture.class_name is not None}
    indices = {name: match_answer(name, labels, classes) for name in sorted(names)}
    return [
        LabeledPicture(picture.path, indices.get(picture.class_name or "")) for picture in pictures
    ]


def _in_folder(folder: Path) -> list[PictureFile]:
    names = sorted(_picture_names(folder, "", frozenset()))
    return [
        PictureFile(folder / name, name.split("/")[0] if "/" in name else None) for name in names
    ]


def _picture_names(root: Path, below: str, above: frozenset[str]) -> Iterator[str]:
    """Paths of the pictures in a folder, relative to the root.

    Args:
        root: The folder that the user named.
        below: Where in it to look, ending with a slash, or empty.
        above: The real folders on the way there: a link back to one leads in a circle.
    """
    real = os.path.realpath(root / below)
    if real in above:
        return
    with os.scandir(real) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _picture_names(root, f"{below}{entry.name}/", above | {real})
            elif os.path.splitext(entry.name)[1].lower() in _suffixes():
                yield below + entry.name


@lru_cache(maxsize=1)
def _suffixes() -> frozenset[str]:
    """Suffixes of the picture formats that Pillow reads."""
    from PIL import Image

    known = Image.registered_extensions()
    readable = Image.OPEN.keys() - _NO_PICTURES
    return frozenset(suffix for suffix, kind in known.items() if kind in readable)


def _in_csv(path: Path) -> list[PictureFile]:
    if path.suffix.lower() != ".csv" and path.exists():
        raise ImageError(f"{path} is no folder of pictures and no .csv list of them", _EXPECTED)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0].strip()]
    if rows and _is_header(rows[0][0].strip(), path.parent):
        rows = rows[1:]
    return [
        PictureFile(path.parent / row[0].strip(), (row[1].strip() or None) if row[1:] else None)
        for row in rows
    ]


def _is_header(first: str, folder: Path) -> bool:
    """Whether it is a column's name; a picture that is missing has a suffix all the same."""
    return not Path(first).suffix and not (folder / first).exists()
