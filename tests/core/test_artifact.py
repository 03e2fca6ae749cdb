"""Contracts are read from files made by each format's own library, and damage is told."""

import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from edgeferry.artifact import METADATA_NAME, find_artifacts, open_artifact, read_contract
from edgeferry.contract import Contract, InputSpec, SourceInfo
from edgeferry.errors import ArtifactError, ContractError
from edgeferry.flatbuffer import Table

WEIGHTS = bytes(range(64))


def contract_of(precision="fp32"):
    return Contract(
        task="classification",
        input=InputSpec(4, 6, batch=None),
        classes=2,
        labels=("Kühlschrank <&>", '"quoted" \\ 猫'),
        head="softmax",
        precision=precision,
        recipe=precision,
        source=SourceInfo("tiny", "ab" * 32, "caffe"),
    )


def write_tflite(path: Path, contract: Contract | None, external: bool = False) -> Path:
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = list(WEIGHTS)
    behind = contract.to_json().encode() if contract and external else b""
    if contract:
        model.buffers.append(schema.BufferT())
        model.metadata = [schema.MetadataT(), schema.MetadataT()]
        model.metadata[0].name, model.metadata[0].buffer = "min_runtime_version", 1
        model.metadata[1].name, model.metadata[1].buffer = METADATA_NAME, 2
        if external:
            model.buffers[2].offset, model.buffers[2].size = 2, len(behind)
        else:
            model.buffers[2].data = list(contract.to_json().encode())
    data = pack(flatbuffers, model)
    if external:  # the size of the flatbuffer is known now, and stays
        model.buffers[2].offset = len(data)
        data = pack(flatbuffers, model)
    path.write_bytes(data + behind)
    return path


def pack(flatbuffers, model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def write_onnx(path: Path, contract: Contract | None) -> Path:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [out]))
    if contract:
        props = {"other": "1", METADATA_NAME: contract.to_json(), "last": "2"}
        onnx.helper.set_model_props(model, props)
    onnx.save(model, path)
    return path


def write_openvino(path: Path, contract: Contract | None) -> Path:
    ov = pytest.importorskip("openvino")
    np = pytest.importorskip("numpy")
    import openvino.opset13 as ops

    parameter = ops.parameter([4], np.float32, name="x")
    model = ov.Model([ops.add(parameter, np.arange(4, dtype=np.float32))], [parameter], "g")
    if contract:
        model.set_rt_info(contract.to_json(), ["edgeferry", "contract"])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


WRITERS = {".tflite": write_tflite, ".onnx": write_onnx, ".xml": write_openvino}
FORMATS = {".tflite": "tflite", ".onnx": "onnx", ".xml": "openvino"}
each_suffix = pytest.mark.parametrize("suffix", WRITERS)


@each_suffix
def test_the_contract_comes_back_as_it_was_written(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"renamed{suffix}", contract_of("int8"))
    artifact = open_artifact(path)
    assert artifact.contract == contract_of("int8") == read_contract(str(path))
    assert (artifact.format, artifact.precision) == (FORMATS[suffix], "int8")
    assert artifact.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_a_tflite_contract_behind_the_flatbuffer_is_found(tmp_path):
    path = write_tflite(tmp_path / "large.tflite", contract_of(), external=True)
    assert read_contract(path) == contract_of()


@each_suffix
def test_a_model_of_another_maker_has_no_contract(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"foreign{suffix}", None)
    assert open_artifact(path).contract is None
    assert open_artifact(path).precision is None
    with pytest.raises(ContractError, match="not exported by edgeferry"):
        read_contract(path)


@each_suffix
@pytest.mark.parametrize("content", [b"", b"x", b"This is a text file, no model at all.\n" * 9])
def test_what_is_no_model_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="text"):
        open_artifact(path)


@each_suffix
def test_every_truncation_is_told(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"cut{suffix}", contract_of())
    whole = path.read_bytes()
    assert_all_refused(path, [whole[:length] for length in range(0, len(whole) - 16, 7)])


def assert_all_refused(path: Path, contents: list[bytes]) -> None:
    assert contents
    for content in contents:
        path.write_bytes(content)
        try:
            found = open_artifact(path)
        except (ArtifactError, ContractError):
            continue
        # A cut may fall between two complete fields; then nothing false may be read.
        assert found.contract in (None, contract_of()), len(content)
        assert path.suffix == ".onnx", len(content)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_flipped_byte_never_gives_a_foreign_exception(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"flipped{suffix}", contract_of())
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
        try:
            open_artifact(path)
        except (ArtifactError, ContractError) as error:
            assert str(error)


def test_openvino_weights_must_be_there_and_whole(tmp_path):
    path = write_openvino(tmp_path / "m.xml", contract_of())
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"m\.bin are cut off"):
        open_artifact(path)
    weights.unlink()
    with pytest.raises(ArtifactError, match=r"m\.bin are not beside it"):
        open_artifact(path)


def test_an_entity_bomb_is_refused_before_it_grows(tmp_path):
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)]
    bomb = f"<?xml version='1.0'?><!DOCTYPE net [{''.join(lines)}]><net>&a11;</net>"
    (tmp_path / "bomb.xml").write_text(bomb)
    with pytest.raises(ArtifactError, match="document type"):
        open_artifact(tmp_path / "bomb.xml")


def test_missing_and_unknown_files_are_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"no artifact .*gone\.tflite"):
        open_artifact(tmp_path / "gone.tflite")
    (tmp_path / "model.pt").touch()
    with pytest.raises(ArtifactError, match=r"model\.pt"):
        open_artifact(tmp_path / "model.pt")
    with pytest.raises(ArtifactError):
        open_artifact(tmp_path)


def test_a_newer_contract_is_refused_with_the_way_out(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = write_onnx(tmp_path / "new.onnx", contract_of())
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_NAME: '{"schema": 99}'})
    onnx.save(model, path)
    with pytest.raises(ContractError, match="pip install -U edgeferry"):
        open_artifact(path)


def test_a_folder_is_sorted_by_format_then_precision(tmp_path):
    for precision in ("int8", "fp16", "fp32"):
        for suffix, write in WRITERS.items():
            write(tmp_path / f"m.{precision}{suffix}", contract_of(precision))
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "unrelated.xml").write_text("<x/>")
    names = [artifact.path.name for artifact in find_artifacts([tmp_path])]
    expected = [f"m.{p}{s}" for s in WRITERS for p in ("fp32", "fp16", "int8")]
    assert names == expected
    assert len(find_artifacts([tmp_path / "m.int8.onnx", tmp_path])) == 9, "each file once"


def test_a_folder_without_artifacts_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="holds no artifact"):
        find_artifacts([tmp_path])


def many_buffers(count):
    """A ``.tflite`` with a vector of so many buffers, which are all the same one."""
    head = struct.pack("<I4s", 24, b"TFL3")
    model = struct.pack("<7H2xiI", 14, 8, 0, 0, 0, 0, 4, 16, 4)  # field 4 leads to the vector
    offsets = struct.pack(f"<{count}I", *range(4 * count + 4, 4, -4))
    return head + model + struct.pack("<I", count) + offsets + struct.pack("<HHi", 4, 4, 4)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("many.tflite", many_buffers(300_000), "vector of 300000 tables"),
        ("many.onnx", b"\x08\x01" * 300_000, "more than 100000 fields"),
        ("deep.xml", b"<net>" + b"<a>" * 100_000, "more than 200 deep"),
        ("entity.xml", b'<!DOCTYPE net SYSTEM "/dev/zero"><net/>', "document type"),
        ("coded.xml", b'<?xml version="1.0" encoding="hex"?><net/>', "coded.xml"),
        ("coded.xml", b'<?xml version="1.0" encoding="none"?><net/>', "coded.xml"),
        ("digits.xml", b'<net><data offset="%s" size="1"/></net>' % (b"9" * 5000), "digits.xml"),
    ],
)
def test_what_would_take_minutes_or_fell_is_refused(tmp_path, name, content, told):
    path = tmp_path / name
    path.with_suffix(".bin").touch()
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=told):
        open_artifact(path)


def test_a_contract_that_would_fill_the_memory_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = write_onnx(tmp_path / "long.onnx", contract_of())
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_NAME: "[" + "[]," * (6 << 20)})
    onnx.save(model, path)
    with pytest.raises(ArtifactError, match=r"its contract has \d{8} bytes"):
        open_artifact(path)


def test_a_file_of_another_maker_may_speak_of_digests(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = write_onnx(tmp_path / "foreign.onnx", None)
    model = onnx.load(path)
    own = {"weights_sha256": "ab" * 32, "integrity": "sha256", "large": "x" * (17 << 20)}
    onnx.helper.set_model_props(model, own)
    onnx.save(model, path)
    assert open_artifact(path).contract is None


def test_a_name_too_long_for_a_file_is_no_artifact():
    with pytest.raises(ArtifactError, match="there is no artifact"):
        find_artifacts(["n" * 300 + ".onnx"])


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda self: os.listdir(tmp_path / "gone"))
    with pytest.raises(ArtifactError, match="cannot read"):
        find_artifacts([tmp_path])


def onnx_properties(count: int, fields: int) -> bytes:
    entry = b"\x18\x01" * fields
    assert len(entry) < 1 << 14
    size = bytes([len(entry) & 0x7F | 0x80, len(entry) >> 7])
    return b"\x08\x07\x3a\x00\x42\x00" + (b"\x72" + size + entry) * count


def test_the_fields_of_all_properties_together_are_bounded(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_properties(10, 8000))
    assert open_artifact(path).contract is None
    path.write_bytes(onnx_properties(13, 8000))
    with pytest.raises(ArtifactError, match="more than 100000 fields"):
        open_artifact(path)


def test_a_contract_that_is_too_long_is_not_read(tmp_path):
    key = b"\x0a\x12" + METADATA_NAME.encode()
    value = b"\x12\x80\x80\x80\x20"  # of 64 MiB, a hole in the file
    path, size = tmp_path / "hole.onnx", 1 << 26
    entry = b"\x72" + bytes([0x99, 0x80, 0x80, 0x20])
    assert len(key) + len(value) == 0x19
    path.write_bytes(b"\x08\x07\x3a\x00\x42\x00" + entry + key + value)
    os.truncate(path, path.stat().st_size + size)
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=f"its contract has {size} bytes"):
        open_artifact(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


class Unread(bytes):
    """A file of which no long piece may be copied."""

    def __getitem__(self, place):
        found = super().__getitem__(place)
        assert isinstance(found, int) or len(found) < 100
        return found


def test_a_long_name_is_not_read_to_be_compared():
    vtable = struct.pack("<3H2x", 6, 8, 4)
    table = struct.pack("<iII", 8, 4, 1 << 20)
    data = Unread(vtable + table + bytes(1 << 20))
    assert not Table(data, 8).holds(0, METADATA_NAME.encode())
    assert Table(Unread(vtable + struct.pack("<iII", 8, 4, 2) + b"ab"), 8).holds(0, b"ab")
