"""Folders that are made once and kept between runs."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Where they are kept: ``edgeferry`` in the user's cache folder (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeferry"


def key_of(*parts: str) -> str:
    """A short name for what a folder is made of."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that appears whole or not at all; one that is there is left as it is.

    Args:
        folder: Its path; where several processes make it at once, one of them wins.
        make: Fills an empty folder beside it, which then takes its name.

    Returns:
        The folder.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
            fresh = Path(work) / folder.name
            fresh.mkdir()
            make(fresh)
            try:
                fresh.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder
