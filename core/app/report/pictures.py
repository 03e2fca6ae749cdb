"""Pictures whose answer changed under int8, small enough to go into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.report.documents import Document, of_command

_SIDE = 200
"""Longest side of a picture in the page, pixels."""
_MOST = 24
"""Pictures shown of an artifact: those that the reference was surest of."""


@dataclass(frozen=True)
class ChangedPicture:
    """A picture with both answers.

    Attributes:
        name: Its path below the folder of pictures.
        data: Itself as a ``data:`` address; empty where it is not at hand.
        true: What it shows; empty where that is not known.
        reference: The reference's answer with its probability.
        answer: The artifact's.
    """

    name: str
    data: str
    true: str
    reference: str
    answer: str


@dataclass(frozen=True)
class Changes:
    """What changed in an artifact's answers.

    Attributes:
        artifact: Its name.
        judged: Number of pictures it was asked about.
        count: Number of answers that changed.
        pictures: Those that are shown.
    """

    artifact: str
    judged: int
    count: int
    pictures: tuple[ChangedPicture, ...]


def changes(documents: Sequence[Document], folder: Path | None) -> Iterator[Changes]:
    """The changed answers of each int8 artifact that was evaluated.

    Args:
        documents: What the runs wrote.
        folder: Where the pictures are; None looks where they were.
    """
    for document in of_command(documents, "evaluate"):
        place = folder or _folder_of(document)
        for result in document.results:
            changed = result.extra.get("changes")
            if result.precision == "int8" and changed:
                surest = sorted(changed, key=lambda each: -(each["reference"]["score"] or 0))
                shown = tuple(_shown(each, place) for each in surest[:_MOST])
                yield Changes(result.artifact, result.images or 0, len(changed), shown)


def _folder_of(document: Document) -> Path | None:
    named = document.data.get("pictures_from")
    return Path(named) if named else None


def _shown(change: Mapping[str, Any], folder: Path | None) -> ChangedPicture:
    true = change["true"]
    return ChangedPicture(
        name=change["picture"],
        data=_data(folder, change["picture"]) if folder else "",
        true=true["label"] if true else "",
        reference=_told(change["reference"]),
        answer=_told(change["answer"]),
    )


def _told(answer: Mapping[str, Any]) -> str:
    score = answer["score"]
    return str(answer["label"]) if score is None else f"{answer['label']} {100 * score:.0f} %"


def _data(folder: Path, name: str) -> str:
    """A picture as a small JPEG; nothing where it is missing, unreadable or outside the folder."""
    from PIL import Image, ImageOps

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        return ""
    try:
        with Image.open(path) as opened:
            small = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    small.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
