"""Bundles: what is in them, safe and the same bytes every time, and that they run."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import jsonschema
import pytest

import edgeferry
from edgeferry.app.bundle import bundle
from edgeferry.app.bundle_contents import BundleOptions
from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.artifact import artifact_digests
from edgeferry.devices.device import DeviceSettings
from edgeferry.devices.known import add_device
from edgeferry.devices.profile import profile_named
from edgeferry.errors import ArtifactError, OutputError, UsageError
from edgeferry.files import sha256_of

PI = BundleOptions("raspberry-pi-4")


def artifact(exported, name):
    return next(exported.folder.glob(f"*.{name}"))


def unpacked(archive: Path, folder: Path) -> Path:
    """The bundle's folder, once it is unpacked."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def ran(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(root / "run.py"), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


@pytest.fixture
def root(exported, tmp_path) -> Path:
    """A bundle that is not set up."""
    bundle(artifact(exported, "int8.tflite"), PI, tmp_path / "b.tar.gz")
    return unpacked(tmp_path / "b.tar.gz", tmp_path / "there")


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_it_holds_everything_and_its_digests(exported, tmp_path, suffix):
    source = artifact(exported, "int8.xml")
    report = bundle(source, PI, tmp_path / f"b.{suffix}")
    root = unpacked(report.path, tmp_path / "there")
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    expected = {
        "README.txt",
        "SHA256SUMS",
        "bundle.json",
        "labels.txt",
        "requirements.txt",
        "run.py",
    }
    expected |= {f"model/{source.name}", f"model/{source.with_suffix('.bin').name}"}
    assert names == expected | {"wheels/edgeferry-0.1.0-py3-none-any.whl"} == set(report.files)
    sums = dict(
        reversed(line.split("  ")) for line in (root / "SHA256SUMS").read_text().splitlines()
    )
    assert sums == {name: sha256_of(root / name) for name in names - {"SHA256SUMS"}}
    assert (root / "labels.txt").read_text().split() == list(exported.labels)
    about = json.loads((root / "bundle.json").read_text())
    assert about["runtime"] == "openvino"
    assert {key: about[key] for key in ("sha256", "weights_sha256")} == artifact_digests(source)


def test_its_requirements_are_the_device_s_pins(root):
    lines = (root / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if "==" in line]
    assert pins == list(profile_named("raspberry-pi-4").requirements("litert"))
    assert lines[-1] == "./wheels/edgeferry-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_it_is_the_same_bytes_whenever_and_wherever_it_is_made(
    exported, tmp_path, suffix, monkeypatch
):
    source = artifact(exported, "int8.onnx")
    first = bundle(source, PI, tmp_path / f"first.{suffix}").path.read_bytes()
    os.utime(source, (0, 0))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert bundle(source, PI, Path(f"second.{suffix}")).path.read_bytes() == first


def test_a_tar_file_holds_plain_files_below_one_folder_without_owner_or_clock(exported, tmp_path):
    report = bundle(artifact(exported, "int8.onnx"), PI, tmp_path / "b.tgz")
    with tarfile.open(report.path) as archive:
        entries = archive.getmembers()
    assert all(entry.isreg() for entry in entries)
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, 0)}
    assert {entry.name for entry in entries if entry.mode & 0o111} == {"digits.int8/run.py"}
    assert_safe([entry.name for entry in entries])


def test_a_zip_file_holds_plain_files_below_one_folder(exported, tmp_path):
    report = bundle(artifact(exported, "int8.onnx"), PI, tmp_path / "b.zip")
    with zipfile.ZipFile(report.path) as archive:
        assert archive.testzip() is None
        assert_safe(archive.namelist())


def assert_safe(names):
    paths = [PurePosixPath(name) for name in names]
    assert len(set(paths)) == len(paths)
    assert {path.parts[0] for path in paths} == {"digits.int8"}
    assert not any(path.is_absolute() or ".." in path.parts for path in paths)


@pytest.mark.parametrize(
    ("device", "output", "error", "essence"),
    [
        ("raspbery-pi-4", "b.zip", UsageError, "raspberry-pi-4"),
        ("android-phone", "b.zip", UsageError, "has no Python"),
        ("raspberry-pi-4", "b.rar", UsageError, r"\.tar\.gz"),
        ("raspberry-pi-4", "gone/b.zip", OutputError, "no folder"),
    ],
)
def test_what_cannot_be_bundled_is_told_and_leaves_nothing(
    exported, tmp_path, device, output, error, essence
):
    with pytest.raises(error, match=essence):
        bundle(artifact(exported, "int8.tflite"), BundleOptions(device), tmp_path / output)
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_that_does_not_suit_is_told(exported, tmp_path):
    for name, options, essence in (
        (
            "int8.tflite",
            BundleOptions("raspberry-pi-4", runtime="onnxruntime"),
            "does not run tflite",
        ),
        ("int8.tflite", BundleOptions("raspberry-pi-4", "tflite-runtime", "3.13"), "no wheels"),
        ("int8.tflite", BundleOptions("raspberry-pi-4", python="3.9"), "known: 3.11, 3.13"),
    ):
        with pytest.raises(UsageError, match=essence):
            bundle(artifact(exported, name), options, tmp_path / "b.zip")


def test_no_artifact_no_bundle(tmp_path):
    with pytest.raises(ArtifactError, match="there is no artifact"):
        bundle(tmp_path / "gone.onnx", PI, tmp_path / "b.zip")


def test_a_device_of_the_user_s_stands_for_its_profile(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEFERRY_CONFIG", str(tmp_path))
    add_device(DeviceSettings("kitchen", "ssh://pi@kitchen", profile="raspberry-pi-5"))
    add_device(DeviceSettings("attic", "ssh://pi@attic"))
    about = bundle(
        artifact(exported, "int8.onnx"), BundleOptions("kitchen"), tmp_path / "b.zip"
    ).about
    assert about["device"] == "raspberry-pi-5"
    with pytest.raises(UsageError, match="--profile PROFILE"):
        bundle(artifact(exported, "int8.onnx"), BundleOptions("attic"), tmp_path / "b.zip")


def test_the_command_writes_it_and_says_what_is_in_it(exported, tmp_path, capfd):
    output = tmp_path / "b.zip"
    asked = ["--device", "raspberry-pi-4", "-o", str(output), "--threads", "2", "--json", "-"]
    assert run(["bundle", str(artifact(exported, "int8.onnx")), *asked]) == 0
    document = json.loads(capfd.readouterr().out)
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    assert document["bundle"]["sha256"] == sha256_of(output)
    assert document["bundle"]["about"]["threads"] == 2
    assert document["results"][0]["runtime"] == "onnxruntime"


def test_integers_that_suit_other_processors_are_told(exported, tmp_path):
    source = artifact(exported, "int8.onnx")
    (warning,) = bundle(source, PI, tmp_path / "pi.zip").warnings
    assert "--targets arm" in warning
    pc = BundleOptions("generic-x86-64")
    assert bundle(source, pc, tmp_path / "pc.zip").warnings == []
    assert bundle(artifact(exported, "int8.tflite"), PI, tmp_path / "b.zip").warnings == []


def test_before_its_setup_it_says_what_to_do(root):
    done = ran(root, "cat.jpg")
    assert done.returncode == 2
    assert "run.py --setup" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("harm", ["cut", "changed", "removed"])
def test_a_harmed_file_is_named_before_anything_is_installed(root, harm):
    model = next(root.glob("model/*.tflite"))
    if harm == "removed":
        model.unlink()
    else:
        data = model.read_bytes()
        model.write_bytes(data[:-1] if harm == "cut" else bytes([data[0] ^ 1]) + data[1:])
    for argument in ("--verify", "--setup"):
        done = ran(root, argument)
        assert done.returncode == 2
        assert model.name in done.stderr
        assert not (root / "site").exists()


def test_another_python_is_refused_by_its_version(root):
    about = root / "bundle.json"
    text = about.read_text().replace('"python": "3.11"', '"python": "3.99"')
    about.write_text(text)
    sums = root / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if "bundle.json" not in line]
    sums.write_text("".join(f"{line}\n" for line in [*lines, f"{sha256_of(about)}  bundle.json"]))
    done = ran(root, "--setup")
    assert done.returncode == 2
    assert "python3.99" in done.stderr


def test_without_anything_to_do_it_shows_its_help(root):
    done = ran(root)
    assert done.returncode == 0
    assert "--camera" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="this Python is not the one that bundles are for"
)
@pytest.mark.parametrize("name", ["int8.tflite", "int8.onnx", "int8.xml"])
def test_it_installs_without_network_and_answers_as_here(exported, tmp_path, name):
    import platform

    source = artifact(exported, name)
    options = BundleOptions(f"generic-{platform.machine().replace('_', '-')}", offline=True)
    root = unpacked(bundle(source, options, tmp_path / "b.zip").path, tmp_path / "there")
    no_network = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
    done = ran(root, "--setup", **no_network)
    assert (done.returncode, done.stderr) == (0, "")
    files = sorted(exported.pictures.glob("*/*.png"))[::40]
    answers = ran(root, "--json", "--top-k", "3", *map(str, files))
    assert answers.returncode == 0, answers.stderr
    told = [json.loads(line) for line in answers.stdout.splitlines()]
    with edgeferry.load(source) as predictor:
        here = predictor.predict(files, top_k=3)
    assert [each["picture"] for each in told] == [str(file) for file in files]
    assert [[p["label"] for p in each["predictions"]] for each in told] == [
        [p.label for p in predictions] for predictions in here
    ]
    camera = tmp_path / "bin"
    camera.mkdir()
    script = f'#!/bin/sh\nfor last; do :; done\ncp "{files[0]}" "$last"\n'
    (camera / "rpicam-jpeg").write_text(script)
    (camera / "rpicam-jpeg").chmod(0o755)
    done = ran(root, "--camera", "--json", PATH=f"{camera}{os.pathsep}{os.environ['PATH']}")
    assert json.loads(done.stdout)["predictions"][0]["label"] == here[0][0].label
    assert json.loads(done.stdout)["picture"] == "camera 0"
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    done = ran(root, "--json", str(broken), str(files[0]))
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_wheels_for_the_device_come_along_offline(exported, tmp_path, monkeypatch):
    """With the download replaced: what is fetched is what is pinned, for the device's Python."""
    asked = {}

    def fetched(requirements, target, folder):
        asked["requirements"], asked["target"] = tuple(requirements), target
        (folder / "engine.whl").write_bytes(b"engine")
        return [folder / "engine.whl"]

    def pip(folder):
        (folder / "pip.whl").write_bytes(b"pip")
        return folder / "pip.whl"

    monkeypatch.setattr("edgeferry.app.bundle_contents.fetch_wheels", fetched)
    monkeypatch.setattr("edgeferry.app.bundle_contents.fetch_pip", pip)
    options = BundleOptions("raspberry-pi-4", offline=True, python="3.13")
    report = bundle(artifact(exported, "int8.tflite"), options, tmp_path / "b.zip")
    root = unpacked(report.path, tmp_path / "there")
    assert asked["target"].python == "3.13"
    assert "manylinux_2_28_aarch64" in asked["target"].platforms
    assert {"wheels/engine.whl", "wheels/pip.whl"} <= set(report.files)
    lines = (root / "requirements.txt").read_text().splitlines()
    assert lines[:2] == ["--no-index", "--find-links wheels"]
