"""Digests inside artifacts: a changed byte is found before any engine sees the file."""

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from deadly import change_a_deadly_byte

import edgeferry
from edgeferry import integrity, sealing
from edgeferry.artifact import artifact_files, open_artifact, read_contract
from edgeferry.contract import SCHEMA_VERSION, Contract, IntegrityInfo
from edgeferry.errors import ArtifactError, ContractError
from edgeferry.integrity import check_file, check_whole
from edgeferry.runtimes.registry import RUNTIMES, choose_runtime
from edgeferry.sealing import UNSEALED, holds, put_in, seal, sealed_digest

SUFFIXES = ("tflite", "onnx", "xml")
PLACES = 60
each_format = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture
def copy(exported, tmp_path):
    """Call with a suffix for an artifact of its own: its first file."""

    def copied(suffix, precision="int8"):
        path = exported.folder / f"digits.{precision}.{suffix}"
        for file in artifact_files(path):
            shutil.copy(file, tmp_path)
        return tmp_path / path.name

    return copied


@pytest.mark.parametrize("before", [0, 1, 30, 35, 36, 37, 63, 64, 99, 100, 101, 163, 200, 500])
def test_a_digest_stands_in_the_file_it_is_of(tmp_path, monkeypatch, before):
    monkeypatch.setattr(sealing, "_CHUNK", 100)
    path = tmp_path / "file"
    around = [bytes(before), b"middle 5ea15ea1", bytes(before // 2)]
    path.write_bytes(UNSEALED.encode().join(around))
    assert seal(path)
    own = hashlib.sha256((b"0" * 64).join(around)).hexdigest()
    assert path.read_bytes() == own.encode().join(around)
    assert sealed_digest(path, own) == own
    assert holds(path, re.compile(own.encode()), 64)
    assert not holds(path, re.compile(UNSEALED.encode()), 64)


def test_a_file_without_a_place_for_it_is_left_as_it_is(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert not seal(path)
    assert not put_in(path, "b175" + "0" * 60, "0" * 64)
    assert path.read_bytes() == b"content"


def test_every_artifact_carries_its_digests(exported):
    for suffix in SUFFIXES:
        for path in exported.folder.glob(f"*.{suffix}"):
            told = read_contract(path).integrity
            content = path.read_bytes()
            assert content.count(told.sha256.encode()) == 1
            blank = content.replace(told.sha256.encode(), b"0" * 64)
            assert hashlib.sha256(blank).hexdigest() == told.sha256
            weights = [hashlib.sha256(f.read_bytes()).hexdigest() for f in artifact_files(path)[1:]]
            assert [told.weights_sha256] == (weights or [None])
            check_file(path)


@each_format
def test_a_changed_byte_anywhere_is_refused(copy, suffix):
    path = copy(suffix)
    own = read_contract(path).integrity.sha256.encode()
    for file in artifact_files(path):
        whole = file.read_bytes()
        places = set(random.Random(0).sample(range(len(whole)), PLACES)) | {0, len(whole) - 1}
        inside = whole.find(own)
        if inside >= 0:
            schema = whole.find(b"schema")
            places |= {*range(inside - 40, inside + 120), *range(schema - 2, schema + 12)}
        for place in sorted(places):
            changed = bytearray(whole)
            changed[place] ^= 1
            file.write_bytes(changed)
            with pytest.raises((ArtifactError, ContractError)):
                check_whole(path, read_contract(path))
        file.write_bytes(whole)
    check_file(path)


@each_format
@pytest.mark.parametrize("harm", ["cut", "longer", "empty"])
def test_what_is_cut_off_or_appended_is_refused(copy, suffix, harm):
    path = copy(suffix)
    for file in artifact_files(path):
        whole = file.read_bytes()
        file.write_bytes({"cut": whole[:-1], "longer": whole + b"\n", "empty": b""}[harm])
        with pytest.raises((ArtifactError, ContractError)):
            edgeferry.load(path)
        file.write_bytes(whole)


@each_format
def test_no_engine_sees_a_changed_file(copy, suffix, monkeypatch):
    path = copy(suffix)
    weights = artifact_files(path)[-1]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    engine = RUNTIMES.load(choose_runtime(open_artifact(path).format))
    monkeypatch.setattr(engine, "_open", lambda self: pytest.fail("the engine was asked"))
    with pytest.raises(ArtifactError, match=r"changed or damaged since it was exported"):
        edgeferry.load(path)


@each_format
def test_a_file_that_was_replaced_meanwhile_is_not_read_again(copy, suffix):
    path = copy(suffix)
    with edgeferry.load(path, threads=1) as predictor:
        shutil.copy(copy(suffix, "fp32"), path)
        with pytest.raises(ArtifactError, match="changed or damaged"):
            predictor.describe()


def test_debug_reads_no_changed_file(copy):
    pytest.importorskip("ai_edge_litert")
    from edgeferry.exporters.artifact_network import artifact_network
    from edgeferry.exporters.quantized_reader import open_float, open_quantized

    path = copy("tflite", "fp32")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for read in (
        lambda: artifact_network(path, "tflite"),
        lambda: open_float(path, "tflite"),
        lambda: open_quantized(path, "tflite", None),
    ):
        with pytest.raises(ArtifactError, match="changed or damaged"):
            read()


@each_format
def test_a_contract_that_is_no_longer_found_does_not_make_a_file_of_another_maker(copy, suffix):
    path = copy(suffix)
    name = b"<edgeferry>" if suffix == "xml" else b"edgeferry_contract"
    content = path.read_bytes()
    assert name in content
    path.write_bytes(content.replace(name, name.replace(b"f", b"g", 1)))
    with pytest.raises(ArtifactError):
        open_artifact(path)


def test_older_contracts_are_read_as_without_digest(exported):
    data = json.loads(read_contract(exported.folder / "digits.int8.onnx").to_json())
    without = {key: value for key, value in data.items() if key != "integrity"}
    assert Contract.from_dict({**without, "schema": 3}).integrity is None
    assert Contract.from_dict({**data, "integrity": None}).integrity is None
    assert Contract.from_dict({**data, "schema": 3}).integrity == IntegrityInfo(
        **data["integrity"]
    ), "a changed number of the schema does not turn the check off"
    assert data["schema"] == SCHEMA_VERSION
    with pytest.raises(ContractError, match="integrity"):
        Contract.from_dict(without)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"sha256": None},
        3,
        [],
        {"sha256": "0" * 64, "x": 1},
    ],
)
def test_a_malformed_digest_is_an_error(exported, told):
    data = json.loads(read_contract(exported.folder / "digits.int8.onnx").to_json())
    with pytest.raises(ContractError):
        Contract.from_dict({**data, "integrity": told})


def test_what_was_never_sealed_carries_no_digest(exported):
    data = json.loads(read_contract(exported.folder / "digits.int8.onnx").to_json())
    told = {"sha256": UNSEALED, "weights_sha256": None}
    assert Contract.from_dict({**data, "integrity": told}).integrity is None


OPEN = """
import sys
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
"""


def test_a_changed_byte_ends_the_engine_s_process_but_not_ours(copy):
    """Why all this: one changed byte, and LiteRT itself (2.3.0) aborts."""
    path = copy("tflite")
    change_a_deadly_byte(path)
    alone = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True)
    assert alone.returncode < 0, "it ends by a signal"
    with pytest.raises(ArtifactError, match=r"digits\.int8\.tflite was changed or damaged"):
        edgeferry.load(path)


def test_a_format_of_three_files_is_whole_only_with_all_of_them(tmp_path, monkeypatch):
    path = tmp_path / "m.net"
    others = [tmp_path / "m.weights", tmp_path / "m.names"]
    monkeypatch.setattr(integrity, "artifact_files", lambda path: (path, *others))
    told = integrity.unsealed(files=3)
    path.write_text(f"{told.sha256} {told.weights_sha256}")
    others[0].write_bytes(b"weights")  # the other one may be missing
    assert integrity.seal_artifact(path)
    contract = SimpleNamespace(integrity=IntegrityInfo(*path.read_text().split()))
    check_whole(path, contract)
    for other in others:
        before = other.read_bytes() if other.exists() else None
        other.write_bytes(b"changed")
        with pytest.raises(ArtifactError, match="changed or damaged"):
            check_whole(path, contract)
        other.unlink() if before is None else other.write_bytes(before)
    check_whole(path, contract)
