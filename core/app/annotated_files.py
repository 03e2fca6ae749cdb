"""Annotated pictures as files: one for each, or a contact sheet of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from edgeferry.app.annotation import annotated
from edgeferry.app.drawing import contact_sheet
from edgeferry.errors import OutputError, UsageError
from edgeferry.files import atomic_path

if TYPE_CHECKING:
    from edgeferry.app.answers import Answers

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_MOST = 100
"""Pictures on one sheet."""


def check_annotation(target: Path, pictures: int) -> None:
    """Refuse what could not be drawn, before any work is done.

    Raises:
        UsageError: If there are too many pictures for one sheet.
        OutputError: If the sheet's folder is missing.
    """
    if target.suffix.lower() not in _FORMATS:
        return
    if pictures > _MOST:
        raise UsageError(
            f"{pictures} pictures are too many for one sheet, {_MOST} at most",
            "Name a folder: --annotate DIR",
        )
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {target.parent}")


def write_annotated(answers: Sequence[Answers], target: Path) -> list[Path]:
    """Draw what artifacts said about pictures.

    Args:
        answers: Of each artifact, about the same pictures.
        target: A picture file holds all, as a contact sheet; else a folder, made if it is
            missing, that takes a ``.png`` for each.

    Returns:
        The files written.

    Raises:
        UsageError: If there is nothing to draw: an embedding, or raw outputs.
        OutputError: If a file cannot be written.
    """
    drawn = (
        (Path(picture), _drawn(Path(picture), found)) for picture, found in _by_picture(answers)
    )
    if target.suffix.lower() in _FORMATS:
        _save(contact_sheet([image for _, image in drawn]), target)
        return [target]
    files: list[Path] = []
    for picture, image in drawn:
        path = _unused(target, picture.stem, files)
        _save(image, path)
        files.append(path)
    return files


def _by_picture(answers: Sequence[Answers]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names: list[str] = []
    for each in answers:  # two files of one name are numbered
        again = sum(
            each.result.artifact == other.result.artifact for other in answers[: len(names)]
        )
        names.append(f"{each.result.artifact} ({again + 1})" if again else each.result.artifact)
    for picture in answers[0].predictions:
        told = [each.predictions[picture] for each in answers]
        yield picture, dict(zip(names, told, strict=True))


def _drawn(picture: Path, found: Mapping[str, Any]) -> Image.Image:
    with Image.open(picture) as opened:
        return annotated(ImageOps.exif_transpose(opened).convert("RGB"), found)


def _unused(folder: Path, stem: str, files: Sequence[Path]) -> Path:
    """A name of its own for each picture, also where two folders hold the same one."""
    path, number = folder / f"{stem}.png", 1
    while path in files:
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path


def _save(image: Image.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            image.save(temporary, _FORMATS[path.suffix.lower()])
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
