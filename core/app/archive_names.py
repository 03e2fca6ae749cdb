"""Names of files in archives that mean the same file on every system."""

from __future__ import annotations

import re

_LONGEST = 255
_STRANGE = re.compile(r"[\x00-\x1f\x7f-\x9f\\:\ud800-\udfff]")


def split_name(path: str) -> tuple[str, str]:
    """The one folder that all of an archive lies in, and a file's name below it.

    Raises:
        ValueError: If it is not below a folder, leads elsewhere, or could steer a terminal.
    """
    root, *parts = path.split("/")
    plain = parts and not {"", ".", ".."} & {root, *parts} and len(path) <= _LONGEST
    if not plain or _STRANGE.search(path):
        raise ValueError(f"a file named {path!r:.80}")
    return root, "/".join(parts)
