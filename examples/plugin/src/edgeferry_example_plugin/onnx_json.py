"""ONNX files as JSON: graphs that can be read and compared as text."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from edgeferry.artifact import METADATA_NAME
from edgeferry.contract import Format
from edgeferry.errors import ArtifactError
from edgeferry.exporters.onnx_exporter import OnnxExporter
from edgeferry.exporters.recipes import Recipe
from edgeferry.exporters.statistics import Calibration

if TYPE_CHECKING:
    from onnx import ModelProto


class OnnxJsonExporter(OnnxExporter):
    """Writes ``.onnxjson``: what the exporter of ONNX writes, in the JSON form of protobuf."""

    format: ClassVar[Format] = "onnxjson"
    suffixes: ClassVar[tuple[str, ...]] = (".onnxjson",)

    def export(
        self,
        prepared: "ModelProto",
        recipe: Recipe,
        calibration: Calibration | None,
        destination: Path,
    ) -> None:
        """Write one artifact."""
        import onnx

        with TemporaryDirectory() as folder:
            binary = Path(folder, "model.onnx")
            super().export(prepared, recipe, calibration, binary)
            onnx.save(onnx.load(binary), destination, format="json")


def read_contract(path: Path) -> str | None:
    """The contract in a file, as JSON; None where there is none. The standard library is enough.

    Raises:
        ArtifactError: If the file is damaged.
    """
    try:
        model = json.loads(path.read_bytes())
        entries = model.get("metadata_props", []) if model["graph"] else []
        return next((each["value"] for each in entries if each["key"] == METADATA_NAME), None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"it is no ONNX graph in JSON: {error}") from error
