"""What every command reports about an artifact: the same keys, null where not measured."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgeferry.files import atomic_write_text

RESULTS_SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """One artifact, measured.

    Attributes:
        artifact: File name of the artifact.
        format: ``tflite``, ``onnx`` or ``openvino``; for the reference the kind of model.
        precision: ``fp32``, ``fp16`` or ``int8``.
        runtime: Engine that ran it.
        images: Number of pictures judged.
        top1: Percent of labeled pictures whose first answer is right.
        top5: Percent of labeled pictures with the right answer among the first five.
        agreement: Percent of pictures with the reference's first answer.
        kl: Mean Kullback-Leibler divergence of the probabilities from the reference's, nats.
        sqnr_db: Signal to quantization noise of the probabilities against the reference's, dB.
        p50_ms: Median latency of one inference, milliseconds; p90 and p99 likewise.
        ratio_to_fp32: Median latency over that of the fp32 artifact of the same format,
            measured beside it (below 1 is faster), with its 95 % interval in low and high.
        load_ms: Opening the artifact in a fresh process, the engine's import included.
        first_ms: First inference, milliseconds.
        throughput: Pictures per second, one batch after another.
        size_bytes: All files of the artifact.
        peak_rss_mb: Peak memory of the process that ran it, MiB.
        executed: Precision that the weighted operations really ran in.
        ops: The executed graph's operations, counted by kind and precision.
        extra: Keys of one command's own, put beside the others.
    """

    artifact: str
    format: str | None = None
    precision: str | None = None
    runtime: str | None = None
    images: int | None = None
    top1: float | None = None
    top5: float | None = None
    agreement: float | None = None
    kl: float | None = None
    sqnr_db: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    ratio_to_fp32: float | None = None
    ratio_to_fp32_low: float | None = None
    ratio_to_fp32_high: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    throughput: float | None = None
    size_bytes: int | None = None
    peak_rss_mb: float | None = None
    executed: str | None = None
    ops: list[dict[str, Any]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the common keys, then the command's own."""
        data = asdict(self)
        extra: dict[str, Any] = data.pop("extra")
        return data | extra


def completed(result: Result, other: Result | None) -> Result:
    """A result with what it lacks from another of the same artifact.

    Args:
        result: Its figures stay.
        other: Where it was not measured, this is taken; None where there is none.
    """
    if other is None:
        return result
    lacking = {
        each.name: getattr(other, each.name)
        for each in fields(Result)
        if each.name != "extra" and getattr(result, each.name) is None
    }
    known = {key: value for key, value in result.extra.items() if value is not None}
    return replace(result, **lacking, extra={**other.extra, **known})


def results_document(
    command: str, results: Iterable[Result], extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The object that ``--json`` writes.

    Args:
        command: Name of the command.
        results: One per artifact.
        extra: Further top-level keys, e.g. machine facts or raw timings.
    """
    return {
        "schema": RESULTS_SCHEMA,
        "tool": {"name": "edgeferry", "version": version("edgeferry"), "command": command},
        "results": [result.to_dict() for result in results],
        **(extra or {}),
    }


def write_document(document: Mapping[str, Any], destination: str, indent: int | None = 2) -> None:
    """Write a results document to a file, or to standard output for ``-``.

    Args:
        document: The document.
        destination: Where to.
        indent: Spaces for each level; None is the fastest, on one line.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    if destination == "-":
        sys.stdout.write(text)
    else:
        atomic_write_text(Path(destination), text)


def results_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every results document keeps to."""
    text = files("edgeferry.app").joinpath("results.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
