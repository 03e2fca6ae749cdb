"""Labels: reading them, and finding the class that a folder's name means."""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from edgeferry.errors import LabelError


def read_labels(path: Path) -> tuple[str, ...]:
    """Read labels: one a line, or JSON (a list, or an object from index to label).

    Raises:
        LabelError: If the file cannot be read or holds no labels.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        labels = _from_json(text) if path.suffix.lower() == ".json" else text.splitlines()
    except OSError as error:
        raise LabelError(f"cannot read the labels {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise LabelError(f"{path} holds no labels: {error}") from error
    while labels and not labels[-1].strip():
        labels.pop()
    if not labels:
        raise LabelError(f"{path} holds no labels", "One a line is expected")
    return tuple(label.strip() for label in labels)


def _from_json(text: str) -> list[str]:
    data = json.loads(text)
    if isinstance(data, dict):
        data = [data[str(index)] for index in range(len(data))]
    if not isinstance(data, list) or not all(isinstance(label, str) for label in data):
        raise ValueError("expected a list of strings, or an object from index to label")
    return data


def check_labels(labels: Sequence[str], classes: int) -> None:
    """Refuse labels that are not one for each class.

    Raises:
        LabelError: If so.
    """
    if len(labels) != classes:
        raise LabelError(
            f"{len(labels)} labels for a network of {classes} classes",
            f"Give a file with {classes} lines, one label each",
        )


def match_label(name: str, labels: Sequence[str] | None, classes: int) -> int:
    """The class that a name means: a label, one of a label's synonyms, or a class index.

    Args:
        name: E.g. a folder's name: ``tench``, ``great_white_shark``, ``007``.
        labels: The network's labels; synonyms in one are separated by commas.
        classes: Number of classes.

    Raises:
        LabelError: If it matches nothing; the nearest labels are listed.
    """
    known = _index(labels or ())
    found = known.get(_plain(name), ())
    if len(found) == 1:
        return found[0]
    if name.strip().isdecimal() and int(name) < classes:
        return int(name)
    if found:
        raise LabelError(f"{name!r} means several classes: {', '.join(map(str, found))}")
    near = difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.3)
    nearest = ", ".join(repr((labels or ())[known[n][0]]) for n in near)
    raise LabelError(
        f"{name!r} is no label, and no class index below {classes}",
        f"The nearest labels: {nearest}" if nearest else "",
    )


def _index(labels: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Classes by plain label and by plain synonym; a whole label goes before a synonym."""
    synonyms: dict[str, tuple[int, ...]] = {}
    for index, label in enumerate(labels):
        for name in {_plain(part) for part in label.split(",")}:
            synonyms[name] = (*synonyms.get(name, ()), index)
    whole: dict[str, tuple[int, ...]] = {}
    for index, label in enumerate(labels):
        whole[_plain(label)] = (*whole.get(_plain(label), ()), index)
    return {**synonyms, **whole}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()
