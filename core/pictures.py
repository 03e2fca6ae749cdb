"""Finding pictures: in a folder, flat or one sub-folder for each class, or listed in a CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeferry.errors import ImageError
from edgeferry.labels import match_label


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
        index: Class index; None where it is not known.
    """

    path: Path
    index: int | None


def find_pictures(path: Path) -> list[PictureFile]:
    """All pictures at a path, in an order that does not depend on the file system.

    Args:
        path: A folder, flat or with one sub-folder for each class (pictures may lie deeper),
            or a CSV of ``file,label`` whose files are relative to it.

    Raises:
        ImageError: If it is missing, unreadable, or holds no picture.
    """
    if not path.exists():
        raise ImageError(f"there is no folder of pictures {path}")
    try:
        found = _in_folder(path) if path.is_dir() else _in_csv(path)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error
    if not found:
        raise ImageError(f"{path} holds no pictures", "Put image files there, e.g. .jpg or .png")
    return found


def labeled_pictures(
    path: Path, labels: Sequence[str] | None, classes: int
) -> list[LabeledPicture]:
    """All pictures at a path with their true classes, matched by name.

    Raises:
        ImageError: If there is none.
        LabelError: If a name matches no label.
    """
    pictures = find_pictures(path)
    names = {picture.class_name for picture in pictures if picture.class_name is not None}
    indices = {name: match_label(name, labels, classes) for name in sorted(names)}
    return [
        LabeledPicture(picture.path, indices.get(picture.class_name or ""))
        for picture in pictures
    ]


def _in_folder(folder: Path) -> list[PictureFile]:
    next(folder.iterdir(), None)  # rglob passes over a folder that it may not read
    files = (file for file in folder.rglob("*") if _is_picture(file, folder))
    relative = sorted(file.relative_to(folder).as_posix() for file in files)
    return [
        PictureFile(folder / name, name.split("/")[0] if "/" in name else None)
        for name in relative
    ]


def _is_picture(file: Path, folder: Path) -> bool:
    from PIL import Image

    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in Image.registered_extensions() and not hidden and file.is_file()


def _in_csv(path: Path) -> list[PictureFile]:
    if path.suffix.lower() != ".csv":
        raise ImageError(f"{path} is no folder of pictures and no .csv list of them")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0].strip()]
    if rows and not (path.parent / rows[0][0]).exists():
        rows = rows[1:]  # a header
    return [
        PictureFile(path.parent / row[0].strip(), row[1].strip() if len(row) > 1 else None)
        for row in rows
    ]
