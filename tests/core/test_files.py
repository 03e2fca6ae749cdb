"""Files that appear whole or not at all."""

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from edgeferry.errors import OutputError
from edgeferry.files import atomic_path, atomic_write_text, drop_unfinished


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_text_goes_into_a_pipe(pipe: Path) -> None:
    read: list[str] = []
    reader = Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    atomic_write_text(pipe, "naïve\n")
    reader.join(10)
    assert read == ["naïve\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_does_not_replace_a_pipe(pipe: Path) -> None:
    with pytest.raises(OutputError, match="pipe: it is not a file"), atomic_path(pipe):
        pass
    assert list(pipe.parent.iterdir()) == [pipe]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_failed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as unfinished:
        unfinished.write_text("half", "utf-8")
        raise RuntimeError
    assert [(p.name, p.read_text("utf-8")) for p in tmp_path.iterdir()] == [("kept.txt", "old")]


def test_only_what_was_left_of_this_very_file_is_dropped(tmp_path: Path) -> None:
    folder, file = tmp_path / "results", tmp_path / "results.json"
    with atomic_path(file) as live, atomic_path(folder) as left:
        drop_unfinished(folder)
        assert (live.exists(), left.exists()) == (True, False)
        left.touch()
