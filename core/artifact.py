"""Exported files: what they are and the contract inside them, read without any engine."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, get_args

from edgeferry.contract import Contract, Format, Precision
from edgeferry.errors import ArtifactError, ContractError
from edgeferry.files import sha256_of
from edgeferry.flatbuffer import Table, check_range, read_bytes
from edgeferry.progress import logger
from edgeferry.protobuf import Span, read_fields
from edgeferry.registry import Entry, Registry
from edgeferry.sealing import holds

_log = logger(__name__)
METADATA_NAME = "edgeferry_contract"
"""Name of the contract in TFLite metadata and ONNX ``metadata_props``."""
RT_INFO_PATH = ("edgeferry", "contract")
"""Path of the contract in OpenVINO's ``rt_info``."""
_LONGEST = 1 << 24
"""Bytes of a contract, or characters: as JSON many times as much memory."""
_BETWEEN = rb"(?:\W|quot){1,40}"
_TRACE = re.compile(
    _BETWEEN.join((rb"integrity", rb"sha256", rb"[0-9a-f]{64}", rb"weights_sha256"))
)
"""Stands in every contract that has a digest, however a format writes JSON."""
_LONGEST_TRACE = 600
"""Bytes of one at most."""

_KINDS = Registry(
    "format",
    "edgeferry.exporters",
    {
        "tflite": Entry("", suffixes=(".tflite",), reader="edgeferry.artifact:_read_tflite"),
        "onnx": Entry("", suffixes=(".onnx",), reader="edgeferry.artifact:_read_onnx"),
        "openvino": Entry(
            "", suffixes=(".xml", ".bin"), reader="edgeferry.artifact:_read_openvino"
        ),
    },
)
"""How files are told apart and read; what writes them is in ``edgeferry.exporters.registry``."""


@dataclass(frozen=True)
class Artifact:
    """One exported model file.

    Attributes:
        path: The file; for OpenVINO the ``.xml``.
        format: Its format.
        contract: What it carries inside; None for a model of another maker.
        size_bytes: Its size, for OpenVINO with the ``.bin``.
    """

    path: Path
    format: Format
    contract: Contract | None
    size_bytes: int

    @property
    def precision(self) -> Precision | None:
        """Its precision; None where no contract tells."""
        return self.contract.precision if self.contract else None


def open_artifact(path: str | Path) -> Artifact:
    """Read what an exported file is, whatever its name before the suffix.

    Raises:
        ArtifactError: If it is missing, damaged, cut off, or of an unknown kind.
        ContractError: If the contract inside is malformed or of a newer schema.
    """
    path = Path(path)
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        raise ArtifactError(f"there is no artifact {path}")
    kind = format_of(path)
    if kind is None or not path.is_file():
        raise ArtifactError(f"{path} is no artifact", f"Known suffixes: {_known_suffixes()}")
    try:
        text = _KINDS.reader(kind)(path)
        if text is None and holds(path, _TRACE, _LONGEST_TRACE):
            raise ArtifactError("it holds a contract in no place where one can be read")
        _check_length(0 if text is None else len(text))
        size = sum(file.stat().st_size for file in artifact_files(path))
    except ArtifactError as error:
        raise ArtifactError(f"{path} is no {kind} model, or damaged: {error.problem}") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        contract = None if text is None else Contract.from_json(text)
    except ContractError as error:
        raise ContractError(f"{path}: {error.problem}", error.remedy) from error
    _log.info("%s: %s, %s", path, kind, contract.recipe if contract else "of another maker")
    return Artifact(path, kind, contract, size)


def format_of(path: Path) -> Format | None:
    """The format that a file's suffix tells; None where it tells none."""
    suffix = path.suffix.lower()
    return next((name for name, entry in _KINDS.in_turn() if suffix in entry.suffixes[:1]), None)


def read_contract(path: str | Path) -> Contract:
    """The contract inside an exported file.

    Raises:
        ArtifactError: If the file is missing or damaged.
        ContractError: If it carries none, or a malformed or newer one.
    """
    return require_contract(open_artifact(path))


def require_contract(artifact: Artifact) -> Contract:
    """The contract of an artifact that must have one.

    Raises:
        ContractError: If it carries none.
    """
    if artifact.contract is None:
        raise ContractError(
            f"{artifact.path} carries no edgeferry contract: it was not exported by edgeferry",
            "Export the trained model it came from: edgeferry export MODEL -o OUT; or tell what it "
            "expects: predict and inspect take --contract FILE",
        )
    return artifact.contract


def artifact_files(path: Path) -> tuple[Path, ...]:
    """Every file that belongs to an artifact."""
    kind = format_of(path)
    others = _KINDS.entry(kind).suffixes[1:] if kind else ()
    return (path, *map(path.with_suffix, others))


def artifact_digests(path: Path) -> dict[str, str | None]:
    """SHA-256 of an artifact's file, and of its weights where they are in a file apart."""
    first, *others = [sha256_of(file) for file in artifact_files(path)]
    return {"sha256": first, "weights_sha256": others[0] if others else None}


def find_artifacts(paths: Iterable[str | Path]) -> list[Artifact]:
    """Open artifacts given as files, or as folders that hold them.

    Args:
        paths: Files are kept in the order given, each once; a folder's are sorted by format,
            then precision (fp32, fp16, int8), then name.

    Raises:
        ArtifactError: If one is missing or damaged, or a folder holds none.
    """
    found = [artifact for path in map(Path, paths) for artifact in _artifacts_at(path)]
    return list({artifact.path.absolute(): artifact for artifact in found}.values())


def _artifacts_at(path: Path) -> list[Artifact]:
    if not os.path.isdir(path):
        return [open_artifact(path)]
    try:
        files = [file for file in path.iterdir() if format_of(file) is not None]
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    whole = [file for file in files if all(part.is_file() for part in artifact_files(file))]
    if not whole:
        raise ArtifactError(f"{path} holds no artifact ({_known_suffixes()})")
    return sorted(map(open_artifact, whole), key=_order)


def _order(artifact: Artifact) -> tuple[int, int, str]:
    formats, precisions = list(_KINDS.entries()), (*get_args(Precision), None)
    return (
        formats.index(artifact.format),
        precisions.index(artifact.precision),
        artifact.path.name,
    )


def _known_suffixes() -> str:
    return ", ".join(suffix for entry in _KINDS.entries().values() for suffix in entry.suffixes[:1])


def _check_length(of_contract: int) -> None:
    if of_contract > _LONGEST:
        raise ArtifactError(f"its contract has {of_contract} bytes")


def _read_tflite(path: Path) -> bytes | None:
    if path.stat().st_size < 8:
        raise ArtifactError("it is empty")
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        if data[4:8] != b"TFL3":
            raise ArtifactError("it does not start like one")
        model = Table.root(data)
        # Walking every buffer costs microseconds and finds files that were cut off.
        spans = [_tflite_buffer(buffer) for buffer in model.tables(4)]
        for span in spans:
            check_range(data, *span)
        for entry in model.tables(6):
            if entry.holds(0, METADATA_NAME.encode()):
                index = entry.scalar(1, "u32")
                if index >= len(spans):
                    raise ArtifactError(f"its metadata lies in buffer {index} of {len(spans)}")
                _check_length(spans[index][1])
                return read_bytes(data, *spans[index])
    return None


def _tflite_buffer(buffer: Table) -> tuple[int, int]:
    """Position and size of a buffer; those of large models lie behind the flatbuffer."""
    position = buffer.scalar(1, "u64")
    return (position, buffer.scalar(2, "u64")) if position > 1 else buffer.vector(0)


def _read_onnx(path: Path) -> bytes | None:
    ir_version, graph, opset_import, metadata_props = 1, 7, 8, 14
    seen, contract, counted = set(), None, count(1)
    with path.open("rb") as file:
        for number, value in read_fields(file, Span(0, path.stat().st_size), counted):
            seen.add(number)
            if number == metadata_props and isinstance(value, Span):
                entry = dict(read_fields(file, value, counted))
                if _is_own(file, entry.get(1)):
                    contract = entry.get(2)
        if not {ir_version, graph, opset_import} <= seen:
            raise ArtifactError("it is empty, cut off, or holds no graph")
        if not isinstance(contract, Span):
            return None
        _check_length(contract.length)
        return contract.read(file)


def _is_own(file: BinaryIO, key: int | Span | None) -> bool:
    own = METADATA_NAME.encode()
    return isinstance(key, Span) and key.length == len(own) and key.read(file) == own


_DEEPEST = 200
"""Elements of an OpenVINO ``.xml`` in each other; three for each network within a network."""


class _IrReader:
    """Hears an OpenVINO ``.xml`` go by, keeping nothing but the contract (flat memory)."""

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.contract: str | None = None
        self.weights_size = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.stack.append(tag)
        if len(self.stack) > _DEEPEST:
            raise ArtifactError(f"its elements lie more than {_DEEPEST} deep")
        if self.stack[0] != "net":
            raise ArtifactError("its outermost element is not <net>")
        if tag == "data" and "offset" in attributes and "size" in attributes:
            last = int(attributes["offset"]) + int(attributes["size"])
            self.weights_size = max(self.weights_size, last)
        if self.stack == ["net", "rt_info", *RT_INFO_PATH]:
            self.contract = attributes.get("value")

    def end(self, tag: str) -> None:
        self.stack.pop()

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ArtifactError("it declares a document type, which no OpenVINO model does")


def _read_openvino(path: Path) -> str | None:
    from xml.etree import ElementTree

    reader = _IrReader()
    parser = ElementTree.XMLParser(target=reader)
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 16):
                parser.feed(chunk)
        parser.close()
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # an encoding, a number
        raise ArtifactError(str(error)) from error
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ArtifactError(f"its weights {weights.name} are not beside it")
    if os.path.getsize(weights) < reader.weights_size:
        raise ArtifactError(f"its weights {weights.name} are cut off")
    return reader.contract
