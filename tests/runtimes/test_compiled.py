"""The folders in which engines keep what they compiled."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import edgeferry
from edgeferry.contract import IntegrityInfo
from edgeferry.errors import UsageError
from edgeferry.runtimes.compiled import compiled_folder, kept_whole


@pytest.fixture
def machine(tmp_path):
    def made(name, flags):
        root = tmp_path / name
        (root / "proc").mkdir(parents=True)
        facts = f"processor: 0\nmodel name: X\ncpu MHz: {len(name)}\nflags: {flags}\n\nprocessor: 1"
        (root / "proc/cpuinfo").write_text(facts)
        return root

    return made


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "net.xml"
    path.write_text("net")
    path.with_suffix(".bin").write_bytes(b"weights")
    return path


def test_the_same_file_engine_and_processor_have_the_same_folder(tmp_path, artifact, machine):
    roots = machine("one", "avx2"), machine("other clock", "avx2")
    folders = {compiled_folder(tmp_path / "c", artifact, "openvino 1", root) for root in roots}
    (folder,) = folders
    assert folder.is_dir()
    assert folder.parent == tmp_path / "c"


def test_another_engine_or_processor_has_another_folder(tmp_path, artifact, machine):
    plain, wide = machine("plain", "avx2"), machine("wide", "avx2 avx512f")
    asked = [("openvino 1", plain), ("openvino 2", plain), ("openvino 1", wide)]
    assert len({compiled_folder(tmp_path, artifact, *each) for each in asked}) == 3


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_changed_file_has_another_folder(tmp_path, artifact, suffix):
    before = compiled_folder(tmp_path, artifact, "openvino 1")
    changed = artifact.with_suffix(suffix)
    os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 1))
    assert compiled_folder(tmp_path, artifact, "openvino 1") != before


@pytest.mark.parametrize("integrity", [None, IntegrityInfo("1" * 64, "2" * 64)])
def test_another_file_of_the_same_size_and_time_has_another_folder(tmp_path, artifact, integrity):
    """As a retrained model has, unpacked where the old one was: archives keep no times."""

    def folder():
        os.utime(artifact.with_suffix(".bin"), ns=(0, 0))
        return compiled_folder(tmp_path, artifact, "openvino 1", integrity=integrity)

    before = folder()
    assert folder() == before
    artifact.with_suffix(".bin").write_bytes(b"WEIGHTS")
    if integrity is not None:
        integrity = IntegrityInfo("1" * 64, "3" * 64)
    assert folder() != before


def test_a_folder_that_cannot_be_made_is_named(tmp_path, artifact):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        compiled_folder(tmp_path / "file", artifact, "openvino 1")


def left(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_an_engine_finds_only_what_it_left_byte_for_byte(tmp_path):
    with kept_whole(tmp_path):
        (tmp_path / "one").write_bytes(b"one")
        (tmp_path / "two").write_bytes(b"two")
    (tmp_path / "two").write_bytes(b"Two")
    (tmp_path / "strange").touch()
    with kept_whole(tmp_path):
        assert left(tmp_path) == ["one"]
        (tmp_path / "two").write_bytes(b"made again, otherwise")
    with kept_whole(tmp_path):
        assert left(tmp_path) == ["one", "two"]


def test_no_other_process_comes_in_meanwhile(tmp_path):
    """It would note what is half written, which then passed for whole if its writer was killed."""
    fcntl = pytest.importorskip("fcntl")
    handle = os.open(tmp_path, os.O_RDONLY)
    with kept_whole(tmp_path), pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


@pytest.mark.parametrize("notes", ["[" * 100_000, "[3]", "{", '{"one": {}}'])
def test_notes_that_are_damaged_are_thrown_away(tmp_path, notes):
    with kept_whole(tmp_path):
        (tmp_path / "one").write_bytes(b"one")
    (tmp_path / ".digests.json").write_text(notes)
    with kept_whole(tmp_path):
        assert left(tmp_path) == []


def test_what_is_no_file_is_thrown_away(tmp_path):
    (tmp_path / "folder/within").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with kept_whole(tmp_path):
        assert left(tmp_path) == []


def test_a_cache_that_cannot_be_cleaned_is_done_without(tmp_path, monkeypatch):
    """As one that an older version filled and that is mounted read-only."""

    def read_only(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / "old").touch()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", read_only)
        with kept_whole(tmp_path) as kept:
            assert left(kept) == []
            (kept / "new").touch()
    assert not kept.exists()
    assert left(tmp_path) == ["old"]


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_a_damaged_cache_does_not_change_the_answers(tiny, pictures, tmp_path, suffix):
    """Without the check, they differed without a word; one file of OpenVINO's was read for good."""
    artifact = tiny(suffix)

    def answered():
        with edgeferry.load(artifact.path, threads=1, cache=tmp_path / "c") as predictor:
            return predictor.predict_proba(pictures)

    expected = answered()
    (kept,) = [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    content = bytearray(kept.read_bytes())
    weight = content.index(artifact.weights[1, 2].tobytes())
    content[weight + 3] ^= 0x80  # its sign
    kept.chmod(0o600)
    kept.write_bytes(content)
    np.testing.assert_array_equal(answered(), expected)
