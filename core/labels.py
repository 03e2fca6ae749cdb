"""Labels: reading them, and finding the class that a folder's name means."""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from edgeferry.checked import read_json
from edgeferry.errors import LabelError


def read_labels(path: Path) -> tuple[str, ...]:
    """Read labels: one a line, or JSON (a list, or an object from index to label).

    Args:
        path: UTF-8 text, or JSON where it is named ``.json``. Blank lines at the end are
            not labels; between others they are empty ones, so that the count stays true.

    Raises:
        LabelError: If the file cannot be read or holds no labels.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        labels = _from_json(text) if path.suffix.lower() == ".json" else text.split("\n")
    except OSError as error:
        raise LabelError(f"cannot read the labels {path}: {error.strerror}") from error
    except ValueError as error:
        raise LabelError(
            f"{path} holds no labels: {error}",
            "UTF-8 text with one label a line is expected, or .json with a list of labels",
        ) from error
    while labels and not labels[-1].strip():
        labels.pop()
    if not labels:
        raise LabelError(f"{path} holds no labels", "One a line is expected")
    return tuple(label.strip() for label in labels)


def _from_json(text: str) -> list[str]:
    data = read_json(text)
    if isinstance(data, dict):
        missing = [index for index in range(len(data)) if str(index) not in data]
        if missing:
            raise ValueError(f"its object of {len(data)} labels has none for index {missing[0]}")
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

    Case, spaces, underscores and hyphens do not matter, nor do leading zeros; only where the
    name means several classes does the one whose label it spells exactly go first. A label
    goes before an index, and where every label is a number, numbers are labels only.

    Args:
        name: E.g. a folder's name: ``tench``, ``great_white_shark``, ``007``.
        labels: The network's labels; synonyms in one are separated by commas.
        classes: Number of classes.

    Raises:
        LabelError: If it matches nothing, or several classes; the nearest labels are listed.
    """
    known = _index(tuple(labels or ()))
    plain = _plain(name)
    found = known.get(plain, ())
    if len(found) == 1:
        return found[0]
    if labels and list(labels).count(name) == 1:
        return list(labels).index(name)
    numbered = bool(known) and all(label.isdecimal() for label in known)
    if plain.isdecimal() and int(plain) < classes and not numbered:
        return int(plain)
    if found:
        raise LabelError(
            f"{name!r} means several classes: {', '.join(map(str, found))}",
            "Name it by class index",
        )
    raise _unknown(name, labels or (), known, classes)


def match_answer(name: str, labels: Sequence[str] | None, classes: int) -> int:
    """The answer that a name means: its class, and with one class only, whether it is that.

    Args:
        name: As ``match_label`` takes it.
        labels: The network's labels.
        classes: Number of classes. With one, its label and ``1`` mean 1; ``0`` means 0, and so
            does ``not`` before the label.

    Raises:
        LabelError: If it matches nothing, or several classes.
    """
    if classes > 1:
        return match_label(name, labels, classes)
    label = _plain(labels[0]) if labels else "1"
    known = {"0": 0, "1": 1, label: 1, f"not {label}": 0}
    if _plain(name) not in known:
        raise LabelError(
            f"{name!r} is not an answer of a network of one class",
            f"Name the folders 0 and 1, or {', '.join(sorted(known.keys() - set('01')))}",
        )
    return known[_plain(name)]


def _unknown(
    name: str, labels: Sequence[str], known: Mapping[str, tuple[int, ...]], classes: int
) -> LabelError:
    near = difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.3)
    nearest = dict.fromkeys(repr(labels[index]) for each in near for index in known[each])
    return LabelError(
        f"{name!r} is no label, and no class index below {classes}",
        f"The nearest labels: {', '.join(nearest)}" if nearest else "",
    )


@lru_cache(maxsize=4)
def _index(labels: tuple[str, ...]) -> Mapping[str, tuple[int, ...]]:
    """Classes by plain label, and by plain synonym."""
    index: dict[str, tuple[int, ...]] = {}
    for number, label in enumerate(labels):
        for name in {_plain(label), *map(_plain, label.split(","))}:
            index[name] = (*index.get(name, ()), number)
    return index


def _plain(name: str) -> str:
    plain = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", name).strip().casefold()
    return str(int(plain)) if plain.isdecimal() else plain
