"""An output folder that appears whole or not at all."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from edgeferry.app.lock import hidden_beside
from edgeferry.app.partial import FILES, Partial, partial_folder
from edgeferry.errors import OutputError
from edgeferry.files import atomic_write_text, flush_folder

_PUBLISHING = "publishing.json"
"""There while finished files move one by one into a folder that was there before."""


def make_room(output: Path) -> None:
    """Make the folder that the output folder lies in.

    Raises:
        OutputError: If that cannot be done.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def check_output(output: Path, force: bool) -> None:
    """Refuse an output folder that would be overwritten or cannot be written.

    Raises:
        OutputError: If so.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file, not a folder", "Choose another with -o")
    if not output.exists():
        return
    if not os.access(output, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {output}: permission denied")
    if not force and _holds_anything(output):
        raise OutputError(
            f"{output} exists and is not empty", "Choose another with -o, or replace with --force"
        )


def publish(partial: Partial, output: Path) -> None:
    """Move everything that is finished to its place, at once where there is no folder yet.

    Where there is one, the files go into it one after another; if that is cut short,
    ``finish_publishing`` does the rest.

    Args:
        partial: What is finished, in the order it was.
        output: The folder. Other files in it are kept.

    Raises:
        OutputError: If it cannot be written.
    """
    output = Path(os.path.realpath(output))
    try:
        flush_folder(partial.files)
        if output.exists():
            groups = partial.groups()
            atomic_write_text(partial.folder / _PUBLISHING, json.dumps(groups))
            _move(groups, partial.files, output)
        else:
            partial.files.rename(output)
            flush_folder(output.parent)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def finish_publishing(output: Path) -> None:
    """Do the rest of a ``publish`` that was cut short, if there is any.

    Hold the lock on the folder meanwhile.

    Raises:
        OutputError: If the folder cannot be written.
    """
    folder = partial_folder(output)
    told = folder / _PUBLISHING
    try:
        if told.exists() and output.is_dir():
            groups = json.loads(told.read_text(encoding="utf-8"))
            _move(groups, folder / FILES, Path(os.path.realpath(output)))
            shutil.rmtree(folder)
        told.unlink(missing_ok=True)  # where the folder was removed meanwhile
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def _holds_anything(output: Path) -> bool:
    own = {hidden_beside(output, kind).name for kind in ("lock", "partial")}
    return any(entry.name not in own for entry in output.iterdir())


def _move(groups: Sequence[Sequence[str]], source: Path, output: Path) -> None:
    """Replace files so that at any moment each thing is the old one, the new one, or not there.

    Args:
        groups: Names of files that make one thing, the one that it is opened by first. The last
            group tells of all others.
        source: Where they are; some may have been moved already.
        output: Where they go.
    """
    _withdraw(groups[-1][0], source, output)
    for head, *others in groups:
        if others:
            _withdraw(head, source, output)
        for name in (*others, head):
            if (source / name).exists():
                (source / name).replace(output / name)
    flush_folder(output)


def _withdraw(name: str, source: Path, output: Path) -> None:
    """Remove an old file that a new one is there for."""
    if (source / name).exists():
        (output / name).unlink(missing_ok=True)
