"""``edgeferry verify``: what is whole, what was changed, and what is not even opened."""

import base64
import gzip
import hashlib
import io
import json
import os
import random
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from edgeferry.app import bundle as bundle_module
from edgeferry.app import bundle_contents, bundle_run
from edgeferry.app.archive_reader import read_archive
from edgeferry.app.bundle import bundle
from edgeferry.app.bundle_contents import BundleOptions
from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.app.verification import verify
from edgeferry.errors import ArtifactError, OutputError, UsageError
from edgeferry.files import sha256_of

PI = BundleOptions("raspberry-pi-4")
SUFFIXES = ("tar.gz", "zip")
each_suffix = pytest.mark.parametrize("suffix", SUFFIXES)
cryptography = pytest.importorskip("cryptography")


@pytest.fixture
def artifact(tmp_path, write_network, matrix):
    return write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)


@pytest.fixture
def keys(tmp_path):
    """A private key, its public one, and another public one."""
    from cryptography.hazmat.primitives import serialization as told
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem, plain = told.Encoding.PEM, told.NoEncryption()
    mine, other = (Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2))
    (tmp_path / "key.pem").write_bytes(mine.private_bytes(pem, told.PrivateFormat.PKCS8, plain))
    for name, key in (("pub.pem", mine), ("other.pem", other)):
        public = key.public_key().public_bytes(pem, told.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / name).write_bytes(public)
    return tmp_path / "key.pem", tmp_path / "pub.pem", tmp_path / "other.pem"


@pytest.fixture
def make(artifact, tmp_path, keys):
    """Call with a suffix for a bundle, signed or not."""

    def made(suffix="tar.gz", signed=False):
        options = replace(PI, sign=keys[0]) if signed else PI
        return bundle(artifact, options, tmp_path / f"b.{suffix}").path

    return made


def unpacked(archive: Path, folder: Path) -> Path:
    shutil.unpack_archive(
        archive, folder, **({} if archive.suffix == ".zip" else {"filter": "data"})
    )
    (root,) = folder.iterdir()
    return root


def state(path, key=None):
    (checked,) = verify([path], key).checked
    return checked.state, checked.problem


def test_an_artifact_is_held_to_its_own_digest(artifact):
    assert state(artifact) == ("whole", "")
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.write_bytes(content)
    refused, problem = state(artifact)
    assert refused == "refused"
    assert artifact.name in problem


def test_what_carries_no_digest_is_said_so(artifact):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(artifact)
    del model.metadata_props[:]
    onnx.save(model, artifact)
    assert state(artifact) == ("no digest", "")


def test_an_output_folder_is_held_to_its_manifest(exported, tmp_path, write_network, matrix):
    folder = Path(shutil.copytree(exported.folder, tmp_path / "out"))
    write_network(folder / "added.onnx", "fp32", matrix)
    report = verify([folder])
    assert len(report.checked) == 10
    assert {each.state for each in report.checked} == {"whole"}
    assert [each.held_to for each in report.checked].count("its own digest") == 1
    (folder / "digits.int8.bin").unlink()
    weights = folder / "digits.fp32.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    failures = {Path(path).name: why for path, why in verify([folder]).failures.items()}
    assert set(failures) == {"digits.int8.xml", "digits.fp32.xml"}
    assert "missing" in failures["digits.int8.xml"]
    assert "changed" in failures["digits.fp32.xml"]


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[" * 100_000,
        "[]",
        '{"artifacts": [{"artifact": "../x", "files": []}]}',
        '{"artifacts": [{"artifact": "x", "files": [{"file": "/etc/passwd", "size_bytes": 1, '
        f'"sha256": "{"0" * 64}"}}]}}]}}',
        '{"artifacts": [{"artifact": "x", "files": [{"file": "x"}]}]}',
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    assert "manifest.json is damaged" in verify([tmp_path]).failures[str(tmp_path)]


@pytest.mark.parametrize("listed", [[], ["digits.int8.xml"], ["digits.int8.bin"]])
def test_a_manifest_that_lists_other_files_than_an_artifact_has_is_refused(
    exported, tmp_path, listed
):
    folder = Path(shutil.copytree(exported.folder, tmp_path / "out"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (entry,) = (each for each in manifest["artifacts"] if each["artifact"] == "digits.int8.xml")
    entry["files"] = [each for each in entry["files"] if each["file"] in listed]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "manifest.json is damaged" in verify([folder]).failures[str(folder)]


def test_a_manifest_with_very_many_labels_is_read(exported, tmp_path):
    folder = Path(shutil.copytree(exported.folder, tmp_path / "out"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["contract"]["labels"] = ["x" * 40] * 110_000
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert not verify([folder]).failures
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(65 << 20)
    assert "too large" in verify([folder]).failures[str(folder)]


@each_suffix
def test_a_bundle_is_whole_packed_and_unpacked(make, tmp_path, suffix):
    archive = make(suffix)
    assert state(archive) == ("whole", "")
    root = unpacked(archive, tmp_path / "there")
    assert state(root) == ("whole", "")
    (root / "site").mkdir()
    (root / "site" / "installed.py").touch()
    assert state(root) == ("whole", "")


@each_suffix
def test_a_changed_byte_anywhere_in_a_bundle_is_refused(make, suffix):
    archive = make(suffix)
    whole = archive.read_bytes()
    places = {*range(90), *random.Random(0).sample(range(len(whole)), 40)}
    places |= set(range(len(whole) - 120, len(whole)))
    for place in sorted(places):
        for change in (1, 0x18):
            changed = bytearray(whole)
            changed[place] ^= change
            archive.write_bytes(changed)
            with pytest.raises(ArtifactError):
                read_archive(archive)
    for changed in (whole[:-1], whole + b"\0", whole[:40], b""):
        archive.write_bytes(changed)
        assert state(archive)[0] == "refused"


@pytest.mark.parametrize("harm", ["changed", "removed", "added", "linked"])
def test_an_unpacked_bundle_holds_what_it_lists_and_nothing_else(make, tmp_path, harm):
    root = unpacked(make(), tmp_path / "there")
    labels = root / "labels.txt"
    if harm == "changed":
        labels.write_text("x")
    elif harm == "removed":
        labels.unlink()
    elif harm == "added":
        (root / "model" / "more.py").touch()
    else:
        labels.rename(tmp_path / "elsewhere.txt")
        labels.symlink_to(tmp_path / "elsewhere.txt")
    refused, problem = state(root)
    assert refused == "refused"
    assert ("more.py" if harm == "added" else "labels.txt") in problem


def repacked(suffix, path, entries):
    """An archive of another program: names with contents or what else they are."""
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries:
                info = zipfile.ZipInfo(name)
                if content is None:
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, b"/etc/passwd" if content is None else content)
        return path
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b""))
    return path


@each_suffix
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "essence"),
    [
        ([], "no SHA256SUMS"),
        ([("b/../../x", b"")], "named"),
        ([("/b/x", b"")], "named"),
        ([("x", b"")], "named"),
        ([("b/a\\b", b"")], "named"),
        ([("b/\x1b[31m", b"")], "named"),
        ([("b/x", b"1"), ("c/x", b"1")], "beside"),
        ([("b/x", b"1"), ("b/x", b"2")], "twice"),
        ([("b/x", b"1"), ("b/x/y/z", b"2")], "as a folder"),
        ([("b/x", None)], "no plain file"),
        ([("b/x", b""), ("b/SHA256SUMS", b"")], "damaged"),
        ([("b/SHA256SUMS", b"0" * 64 + b"  x\n")], "missing"),
        ([("b/SHA256SUMS", b"0" * 64 + b"  x\n"), ("b/x", b"")], "changed"),
        ([("b/SHA256SUMS", b"0" * (5 << 20))], "too large"),
    ],
)
def test_what_no_bundle_holds_is_refused(tmp_path, suffix, entries, essence):
    path = repacked(suffix, tmp_path / f"hostile.{suffix}", entries)
    refused, problem = state(path)
    assert refused == "refused"
    assert essence in problem
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing was unpacked"


@each_suffix
def test_a_bundle_packed_by_another_program_is_held_to_its_list(make, tmp_path, suffix):
    root = unpacked(make(), tmp_path / "there")
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    entries = [(f"b/{file.relative_to(root).as_posix()}", file.read_bytes()) for file in files]
    assert state(repacked(suffix, tmp_path / f"again.{suffix}", entries)) == ("whole", "")
    entries.append(("b/unlisted.py", b""))
    assert "unlisted.py" in state(repacked(suffix, tmp_path / f"again.{suffix}", entries))[1]


def test_bombs_are_refused_in_flat_memory(tmp_path):
    zeros = bytes(1 << 20)
    packer = zlib.compressobj(9, wbits=31)
    header = tarfile.TarInfo("b/bomb")
    header.size = 1 << 34
    (tmp_path / "bomb.tar.gz").write_bytes(
        packer.compress(header.tobuf(tarfile.GNU_FORMAT))
        + b"".join(packer.compress(zeros) for _ in range(80))
        + packer.flush()
    )
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("b/bomb", "w") as entry,
    ):
        for _ in range(80):
            entry.write(zeros)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(12_000):
            archive.writestr(f"b/{number}", b"")
    folders = tarfile.TarInfo("b/folder")
    folders.type = tarfile.DIRTYPE
    (tmp_path / "folders.tar.gz").write_bytes(gzip.compress(folders.tobuf() * 25_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in tmp_path.iterdir():
        refused, problem = state(path)
        assert refused == "refused"
        assert "bomb" in problem or "more than" in problem
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "KiB"


def test_a_zip_file_whose_headers_disagree_is_refused(tmp_path):
    """Some programs unpack by the header before a file, others by the directory."""
    path = repacked("zip", tmp_path / "two.zip", [("b/x", b"1"), ("b/y", b"2")])
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        second = archive.infolist()[1].header_offset
    hidden = content[:second]  # the first file once more, which no directory lists
    for changed in (hidden + content, content[:14] + b"\0\0\0\0" + content[18:]):
        path.write_bytes(changed)
        assert state(path)[0] == "refused"


def of_other_meaning(path, entry, change):
    """A tar file whose header says more than its name and content."""
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    for at, data in change.items():
        header[at : at + len(data)] = data
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))


@pytest.mark.parametrize(
    "change",
    [
        {156: tarfile.GNUTYPE_SPARSE},
        {156: tarfile.CONTTYPE},
        {345: b"elsewhere"},
        {100: b"0004755\0"},
        {100: b"0002755\0"},
        {0: b"b/../../x/\0", 156: tarfile.DIRTYPE},
        {0: b"/absolute/\0", 156: tarfile.DIRTYPE},
        {0: b"b/\x1b[31m/\0", 156: tarfile.DIRTYPE},
        {0: b"b/\xc2\x9b31m\0"},
    ],
)
def test_what_tar_programs_unpack_to_something_else_is_refused(tmp_path, change):
    path = tmp_path / "b.tar.gz"
    of_other_meaning(path, tarfile.TarInfo("b/x"), {})
    assert list(read_archive(path).digests) == ["x"]
    of_other_meaning(path, tarfile.TarInfo("b/x"), change)
    with pytest.raises(ArtifactError, match=r"no plain file|named"):
        read_archive(path)


def test_folders_in_archives_are_no_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.mkdir("b")
        archive.writestr("b/x", b"")
    entry = tarfile.TarInfo("b/folder")
    of_other_meaning(tmp_path / "b.tar.gz", entry, {156: tarfile.DIRTYPE})
    assert list(read_archive(tmp_path / "b.zip").digests) == ["x"]
    assert not read_archive(tmp_path / "b.tar.gz").digests


@pytest.mark.parametrize("harm", ["content", "name", "climbs", "path", "link", "set-uid"])
def test_what_zip_programs_unpack_to_something_else_is_refused(tmp_path, harm):
    entry = zipfile.ZipInfo("b/file" if harm in ("path", "link", "set-uid") else "b/file/")
    if harm == "climbs":
        entry.filename = "../../x/"
    elif harm in ("path", "link"):
        kind = b"\x75\x70" if harm == "path" else b"\x6e\x75"
        entry.extra = kind + b"\x06\0\x01\0\0\0\0y"
    elif harm == "set-uid":
        entry.external_attr = 0o104755 << 16
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, b"1" if harm == "content" else b"")
    if harm == "name":  # a file to those who read the header before it
        path.write_bytes(path.read_bytes().replace(b"b/file/", b"b/run.py"[:7], 1))
    with pytest.raises(ArtifactError, match=r"no plain file|named|beside|unusual"):
        read_archive(path)


@each_suffix
def test_a_signed_bundle_is_the_same_bytes_every_time(make, suffix):
    first = make(suffix, signed=True).read_bytes()
    assert make(suffix, signed=True).read_bytes() == first


@each_suffix
def test_a_signature_is_checked_when_a_key_is_given(make, keys, tmp_path, suffix):
    _, public, other = keys
    unsigned = state(make(suffix), public)
    assert unsigned[0] == "refused"
    assert "not signed" in unsigned[1]
    archive = make(suffix, signed=True)
    (row,) = verify([archive]).checked
    assert (row.state, row.signature) == ("whole", "not checked")
    (row,) = verify([archive], public).checked
    assert (row.state, row.signature) == ("whole", "good")
    assert "was not signed with the key" in state(archive, other)[1]
    root = unpacked(archive, tmp_path / "there")
    assert state(root, public) == ("whole", "")
    labels = root / "labels.txt"
    labels.write_text("forged\n")
    sums = (root / "SHA256SUMS").read_text().splitlines()
    forged = [f"{sha256_of(labels)}  labels.txt" if "labels" in each else each for each in sums]
    (root / "SHA256SUMS").write_text("\n".join(forged) + "\n")
    assert state(root) == ("whole", ""), "who changes a file can change the list"
    assert "was not signed with the key" in state(root, public)[1], "but not sign it"


def test_an_artifact_alone_is_no_signed_bundle(artifact, keys):
    assert "bundles alone" in state(artifact, keys[1])[1]


@pytest.mark.parametrize("sums", ["none", "dangling"])
def test_a_folder_without_anything_signed_does_not_pass_with_a_key(tmp_path, keys, sums):
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "run.py").write_text("1/0")
    (folder / "manifest.json").write_text('{"artifacts": []}')
    if sums == "none":
        with pytest.raises(UsageError, match="nothing that can be verified"):
            verify([folder], keys[1])
    else:
        (folder / "SHA256SUMS").symlink_to("nowhere")
        assert "no plain file" in state(folder, keys[1])[1]


@pytest.mark.parametrize("name", ["site", "site.unfinished"])
def test_with_a_key_nothing_may_be_installed(make, keys, tmp_path, name):
    root = unpacked(make(signed=True), tmp_path / "there")
    (root / name).mkdir()
    (root / name / "numpy.py").write_text("1/0")
    assert state(root)[0] == "whole"
    refused, problem = state(root, keys[1])
    assert (refused, name in problem, "run.py --key" in problem) == ("refused", True, True)


def test_an_artifact_that_changes_while_it_is_bundled_is_not_signed(
    artifact, keys, tmp_path, monkeypatch
):
    def changed(*_):
        artifact.write_bytes(artifact.read_bytes()[:-1] + b"?")
        return original(*_)

    for module, name, error in (
        (bundle_contents, "write_own_wheel", ArtifactError),
        (bundle_module, "write_archive", OutputError),
    ):
        whole, original = artifact.read_bytes(), getattr(module, name)
        with monkeypatch.context() as patch, pytest.raises(error, match="changed"):
            patch.setattr(module, name, changed)
            bundle(artifact, replace(PI, sign=keys[0]), tmp_path / "b.zip")
        artifact.write_bytes(whole)
        assert not (tmp_path / "b.zip").exists()


@each_suffix
@pytest.mark.parametrize("stem", ["a:b", "a\\b", "a\nb", "a\x9bb", "a\udcffb", "a" * 120])
def test_an_artifact_whose_name_no_archive_holds_is_told(artifact, tmp_path, suffix, stem):
    named = artifact.rename(tmp_path / f"{stem}.onnx")
    with pytest.raises(UsageError, match="cannot hold a file named"):
        bundle(named, PI, tmp_path / f"b.{suffix}")


def test_the_longest_name_is_bundled(artifact, tmp_path):
    named = artifact.rename(tmp_path / f"{'a' * 95}.onnx")
    for suffix in SUFFIXES:
        assert state(bundle(named, PI, tmp_path / f"b.{suffix}").path) == ("whole", "")


def test_a_file_that_is_too_large_for_zip_is_told(make, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    with pytest.raises(UsageError, match="zip file holds 2 GiB"):
        make("zip")


def test_names_of_others_cannot_steer_the_terminal(make, tmp_path, capfd):
    root = unpacked(make(), tmp_path / "there")
    (root / "\x1b[31m\x9b").touch()
    with (root / "SHA256SUMS").open("a") as sums:
        sums.write("0" * 64 + "  gone\x1b[2J\n")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "artifacts": [
                    {
                        "artifact": "\x1b[31m",
                        "files": [{"file": "\x1b[31m", "size_bytes": 1, "sha256": "0" * 64}],
                    }
                ]
            }
        )
    )
    assert run(["verify", str(root), str(folder)]) == 1
    told = capfd.readouterr()
    assert "gone\ufffd[2J is missing" in told.err
    assert not {"\x1b", "\x9b"} & set(told.out + told.err)
    done = subprocess.run(
        [sys.executable, str(root / "run.py"), "--verify"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr


def test_a_name_that_no_system_takes_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="cannot read"):
        verify([tmp_path / f"{'x' * 300}.onnx"])


@pytest.mark.parametrize("which", ["private", "rsa", "text", "missing"])
def test_a_wrong_key_is_told(make, keys, tmp_path, which):
    from cryptography.hazmat.primitives import serialization as told
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = tmp_path / "wrong.pem"
    if which == "private":
        key = keys[0]
    elif which == "rsa":
        public = generate_private_key(65537, 2048).public_key()
        form = told.PublicFormat.SubjectPublicKeyInfo
        key.write_bytes(public.public_bytes(told.Encoding.PEM, form))
    elif which == "text":
        key.write_text("no key")
    archive = make(signed=True)
    with pytest.raises(UsageError, match="pem"):
        verify([archive], key)
    if which != "private":
        with pytest.raises(UsageError, match="pem"):
            make_with = replace(PI, sign=key)
            bundle(tmp_path / "colors.fp32.onnx", make_with, tmp_path / "c.zip")
        assert not (tmp_path / "c.zip").exists()


def test_the_command_tells_all_and_exits_1(make, artifact, tmp_path, capfd):
    archive = make("zip")
    content = bytearray(artifact.read_bytes())
    content[-1] ^= 1
    artifact.write_bytes(content)
    assert run(["verify", str(archive)]) == 0
    capfd.readouterr()
    assert run(["verify", str(archive), str(artifact), "--json", "-"]) == 1
    told = capfd.readouterr()
    document = json.loads(told.out)
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    assert [each["state"] for each in document["results"]] == ["whole", "refused"]
    assert list(document["failures"]) == [str(artifact)]
    assert "REFUSED" in told.err
    assert run(["verify", str(tmp_path / "gone.onnx")]) == 2
    assert run(["verify", str(tmp_path / "key.pem")]) == 2


class TestRunPy:
    """The program inside a bundle, which needs nothing of edgeferry for its check."""

    @pytest.fixture(params=["cryptography", "openssl"])
    def ran(self, request, make, tmp_path):
        """Call with arguments; signatures are checked by the package, or by the program."""
        if request.param == "openssl":
            version = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout
            if not version.startswith("OpenSSL 3"):
                pytest.skip("openssl 3 is not installed")
        isolated = ["-S"] if request.param == "openssl" else []
        self.root = unpacked(make(signed=True), tmp_path / "there")

        def ran(*arguments, **variables):
            command = [sys.executable, *isolated, str(self.root / "run.py"), *map(str, arguments)]
            environment = {**os.environ, **variables}
            return subprocess.run(command, capture_output=True, text=True, env=environment)

        return ran

    def test_a_bundle_that_is_as_it_was_signed_passes(self, ran, keys):
        assert ran("--key", keys[1]).returncode == 0

    def test_another_key_is_refused(self, ran, keys):
        done = ran("--key", keys[2])
        assert done.returncode == 2
        assert "was not signed for" in done.stderr
        done = ran("--key", keys[0])
        assert done.returncode == 2
        assert "no Ed25519 public key" in done.stderr

    def test_an_unsigned_one_is_refused(self, ran, keys):
        (self.root / "SHA256SUMS.sig").unlink()
        done = ran("--key", keys[1])
        assert (done.returncode, "not signed" in done.stderr) == (2, True)

    def test_an_empty_key_is_no_key(self, ran, tmp_path):
        for rest in ((), (tmp_path / "x.png",)):
            done = ran("--key", "", *rest)
            assert (done.returncode, "cannot read" in done.stderr) == (2, True)

    @pytest.mark.parametrize("harm", ["missing", "long", "folder"])
    def test_a_list_that_cannot_be_followed_is_told(self, ran, keys, harm):
        sums = self.root / "SHA256SUMS"
        content = sums.read_bytes()
        sums.unlink()
        if harm == "folder":
            sums.mkdir()
        elif harm == "long":
            sums.write_bytes(content + b"0" * 64 + b"  " + b"x" * 300 + b"\n")
        for arguments in (("--verify",), ("--key", keys[1])):
            done = ran(*arguments)
            assert (done.returncode, "Traceback" in done.stderr) == (2, False)
            assert done.stderr.startswith("run.py: ")

    @pytest.mark.parametrize("harm", ["byte", "list", "signature", "link", "more"])
    def test_what_was_changed_since_is_refused(self, ran, keys, harm, tmp_path):
        model = next(self.root.glob("model/*.onnx"))
        name = {"list": "SHA256SUMS", "signature": "SHA256SUMS.sig"}.get(harm)
        path = self.root / name if name else model
        if harm == "link":
            path.rename(tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
        elif harm == "more":
            (self.root / "wheels" / "more-1-py3-none-any.whl").touch()
        else:
            content = path.read_bytes()
            path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        done = ran("--key", keys[1])
        assert done.returncode == 2
        assert done.stderr.startswith("run.py: ")
        assert "Traceback" not in done.stderr

    def test_nothing_beside_it_is_imported(self, ran, keys):
        (self.root / "argparse.py").write_text("print('imported')")
        done = ran("--key", keys[1])
        assert done.returncode == 2
        assert "argparse.py is no part of the bundle" in done.stderr
        assert "imported" not in done.stdout
        assert "imported" not in ran("--verify").stdout

    def test_what_was_installed_must_be_from_its_wheels(self, ran, keys, tmp_path):
        (wheel,) = self.root.glob("wheels/*.whl")
        site = self.root / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        cached = site / "edgeferry" / "__pycache__"
        cached.mkdir()
        (cached / "errors.cpython-311.pyc").write_bytes(b"never read")
        assert ran("--key", keys[1]).returncode == 0
        module = site / "edgeferry" / "labels.py"
        before = module.read_bytes()
        module.write_bytes(before + b"\n")
        done = ran("--key", keys[1], tmp_path / "x.png")
        assert done.returncode == 2
        assert "site/edgeferry/labels.py is not from a wheel" in done.stderr
        module.write_bytes(before)
        (site / "numpy.py").touch()
        assert "site/numpy.py is not from a wheel" in ran("--key", keys[1]).stderr

    def test_a_file_of_two_wheels_may_be_from_either(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(bundle_run, "HERE", tmp_path)
        monkeypatch.setattr(bundle_run, "SITE", tmp_path / "site")
        for folder in ("wheels", "site"):
            (tmp_path / folder).mkdir()
        for name, content, kind in (("a", b"1", "sha256"), ("b", b"2", "sha512")):
            digest = base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).decode()
            with zipfile.ZipFile(tmp_path / f"wheels/{name}-1-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"{name}-1.dist-info/RECORD", f"x.py,{kind}={digest.rstrip('=')},1")
        for content in (b"1", b"2"):
            (tmp_path / "site/x.py").write_bytes(content)
            bundle_run.check_site()
        (tmp_path / "site/x.py").write_bytes(b"3")
        with pytest.raises(SystemExit):
            bundle_run.check_site()
        assert "site/x.py is not from a wheel" in capsys.readouterr().err

    def test_a_setup_that_would_fetch_is_refused(self, ran, keys):
        done = ran("--setup", "--key", keys[1])
        assert done.returncode == 2
        assert "--offline" in done.stderr

    def test_without_either_way_to_check_it_says_what_to_install(self, ran, keys, request):
        done = ran("--key", keys[1], PATH="")
        if "openssl" in request.node.name:
            assert done.returncode == 2
            assert "openssl 3, or python3-cryptography" in done.stderr
        else:
            assert done.returncode == 0, "the package needs no program"


def test_bundling_says_what_the_signature_leaves_out(artifact, keys, tmp_path):
    report = bundle(artifact, replace(PI, sign=keys[0]), tmp_path / "b.zip")
    assert any("--offline" in each for each in report.warnings)
    assert len(report.signed_by) == 64
    assert report.document()["bundle"]["signed_by"] == report.signed_by
