"""What a results file tells of each layer: the error it adds, or the time it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.results_check import read_results
from edgeferry.artifact import Artifact, artifact_digests
from edgeferry.errors import UsageError


@dataclass(frozen=True)
class LayerAmounts:
    """One figure for each layer.

    Attributes:
        title: What the figures are.
        unit: What they are counted in; put behind them.
        of_layer: By the layer's name in the source.
    """

    title: str
    unit: str
    of_layer: Mapping[str, float]


def read_layer_amounts(path: Path, artifact: Artifact) -> LayerAmounts:
    """Read what ``debug --json`` or ``benchmark --profile --json`` wrote of an artifact.

    Raises:
        UsageError: If it is no such file, or is not about this artifact.
    """
    try:
        document = read_results(path)
        found = _amounts(document, artifact)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is not what debug or benchmark --profile wrote: {error}",
            "Make it: edgeferry debug ARTIFACT --reference FP32 --images DIR --json FILE",
        ) from error
    if found is None:
        raise UsageError(
            f"{path} tells nothing of the layers of {artifact.path.name}",
            "Give what debug --json, or benchmark --profile --json, wrote of it",
        )
    return found


def _amounts(document: Mapping[str, Any], artifact: Artifact) -> LayerAmounts | None:
    if document["tool"]["command"] == "debug":
        if document["results"][0]["artifact"] != artifact.path.name:
            return None
        added = {row["layer"]: float(row["added"]) for row in document["layers"]}
        return LayerAmounts("error that the layer adds", "", added)
    digests = artifact_digests(artifact.path)
    for result in document["results"]:
        if result.get("sha256") == digests["sha256"] and result.get("profile"):
            shares: dict[str, float] = defaultdict(float)
            for row in result["profile"]["layers"]:
                shares[row["layer"]] += float(row["share"])
            return LayerAmounts("share of the time", " %", dict(shares))
    return None
