"""Nothing that edgeferry runs phones home."""

import os
import sys
from typing import Any, cast


def disable_telemetry() -> None:
    """Turn off the telemetry of the engines and converters; importing edgeferry does it.

    It has to come before they are imported. ONNX Runtime and NNCF look at an environment variable
    then, and only then. OpenVINO knows none but those of build servers, and reports that it was
    imported unless its reporting package is missing: so that package is kept from being imported
    by this process.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("NNCF_CI", "1")
    cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)
