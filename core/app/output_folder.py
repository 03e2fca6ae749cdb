"""An output folder that appears whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeferry.errors import OutputError


@contextmanager
def staged_folder(output: Path, force: bool) -> Iterator[Path]:
    """Give a staging folder beside the output; its files move there when the block ends well.

    Args:
        output: The folder to fill.
        force: Whether files of an existing folder may be replaced; others in it are kept.

    Raises:
        OutputError: If the folder exists and is not empty, or cannot be written.
    """
    check_output(output, force)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror}") from error
    try:
        yield staging
        _publish(staging, output)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


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
    if not force and any(output.iterdir()):
        raise OutputError(
            f"{output} exists and is not empty", "Choose another with -o, or replace with --force"
        )


def _publish(staging: Path, output: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    staging.chmod(0o777 & ~mask)
    if not output.exists():
        staging.rename(output)
        return
    # The manifest goes last: what it lists is there when it is.
    for file in sorted(staging.iterdir(), key=lambda file: file.name == "manifest.json"):
        file.replace(output / file.name)
