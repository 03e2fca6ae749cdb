"""The same inputs give the same bytes in any folder, whatever runs side by side."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from edgeferry.app.export import ExportOptions, export
from edgeferry.contract import ResizeRule
from edgeferry.files import sha256_of
from edgeferry.threads import physical_cores

pytest.importorskip("tensorflow")


@dataclass(frozen=True)
class Again:
    """The session's export made once more: other folders, another number of jobs."""

    source: Path
    folder: Path

    def files(self) -> Iterator[Path]:
        yield from sorted(self.folder.iterdir())


@pytest.fixture(scope="module")
def again(exported, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    source = elsewhere / "moved" / "digits.keras"
    source.parent.mkdir()
    shutil.copy(exported.keras_path, source)
    shutil.copytree(exported.calibration, elsewhere / "pictures")
    (elsewhere / "names.txt").write_text("\n".join(exported.labels))
    options = ExportOptions(
        calibration=elsewhere / "pictures",
        labels=elsewhere / "names.txt",
        preprocessing="tf",
        resize=ResizeRule("squash"),
        calibration_count=64,
        jobs=1 if physical_cores() > 1 else 2,  # unlike the first
    )
    export(source, elsewhere / "out" / "put", options)
    return Again(source, elsewhere / "out" / "put")


def test_two_exports_give_the_same_bytes(exported, again):
    first = {file.name: sha256_of(file) for file in exported.folder.iterdir()}
    second = {file.name: sha256_of(file) for file in again.files()}
    assert len(first) == 13  # nine artifacts, three of them of two files, and the manifest
    assert first == second


def test_no_file_holds_a_path(again):
    """Neither of the source nor of a temporary folder."""
    strange = [
        b"/tmp/",
        str(Path.cwd()).encode(),
        b"edgeferry-",
        again.source.parent.name.encode() + b"/",
    ]
    strange += [str(again.source.parents[1]).encode(), str(Path.home()).encode() + b"/"]
    for file in again.files():
        content = file.read_bytes()
        assert not [text for text in strange if text in content], file.name


def test_the_manifest_lists_every_file_with_its_digest(again):
    manifest = json.loads((again.folder / "manifest.json").read_text())
    listed = {entry["file"]: entry for each in manifest["artifacts"] for entry in each["files"]}
    files = {file.name: file for file in again.files() if file.name != "manifest.json"}
    assert set(listed) == set(files)
    for name, file in files.items():
        assert listed[name]["sha256"] == sha256_of(file)
        assert listed[name]["size_bytes"] == file.stat().st_size


def test_a_skipped_picture_leaves_no_path_in_the_manifest(trained, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (32, 32), (80 * number,) * 3).save(pictures / f"{number}.png")
    (pictures / "broken.png").write_bytes((pictures / "0.png").read_bytes()[:40])
    options = ExportOptions(
        calibration=pictures, preprocessing="tf", formats=("openvino",), precisions=("fp32",)
    )
    report = export(trained.keras_path, tmp_path / "out", options)
    assert "broken.png" in report.warnings[0]
    manifest = (tmp_path / "out" / "manifest.json").read_text()
    assert "broken.png" in manifest
    assert str(tmp_path) not in manifest


def test_a_saved_model_in_another_folder_gives_the_same_bytes(trained, tmp_path):
    keras = pytest.importorskip("keras")
    keras.models.load_model(trained.keras_path).export(tmp_path / "one" / "net", verbose=False)
    shutil.copytree(tmp_path / "one" / "net", tmp_path / "two" / "deeper" / "net")
    options = ExportOptions(
        preprocessing="tf", formats=("onnx", "openvino"), precisions=("fp32",), jobs=2
    )
    contents = []
    for source in (tmp_path / "one" / "net", tmp_path / "two" / "deeper" / "net"):
        output = source.with_name("artifacts")
        export(source, output, options)
        contents.append({file.name: file.read_bytes() for file in sorted(output.iterdir())})
    assert set(contents[0]) == {
        "manifest.json",
        "net.fp32.bin",
        "net.fp32.onnx",
        "net.fp32.xml",
    }
    assert contents[0] == contents[1]
    assert not [name for name, content in contents[0].items() if str(tmp_path).encode() in content]
