"""The folders in which engines keep what they compiled."""

import os

import pytest

from edgeferry.errors import UsageError
from edgeferry.runtimes.compiled import compiled_folder


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


def test_a_folder_that_cannot_be_made_is_named(tmp_path, artifact):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        compiled_folder(tmp_path / "file", artifact, "openvino 1")
