"""Whether int8 is really faster on a device, by how much, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeferry.app.results import Result
from edgeferry.operations import WEIGHTED_KINDS

_DOT_PRODUCTS = {
    "aarch64": ("asimddp", "i8mm"),
    "arm64": ("asimddp", "i8mm"),
    "x86_64": ("avx512_vnni", "avx_vnni", "amx_int8"),
    "AMD64": ("avx512_vnni", "avx_vnni", "amx_int8"),
}
"""Flags of the instructions that int8 gains most from, by architecture."""


@dataclass(frozen=True)
class Int8Finding:
    """How an int8 artifact compares with its fp32 twin.

    Attributes:
        artifact: The int8 artifact.
        faster: Whether it is; None where the interval holds no difference.
        ratio: Its median latency over fp32's, with its 95 % interval.
        low: Lower end.
        high: Upper end.
        why: Why it is not faster; empty where it is.
    """

    artifact: str
    faster: bool | None
    ratio: float
    low: float
    high: float
    why: str

    def __str__(self) -> str:
        if self.faster:
            interval = f"[{1 / self.high:.2f}, {1 / self.low:.2f}]"
            return f"{self.artifact} is {1 / self.ratio:.2f} times faster than fp32 {interval}."
        interval = f"[{self.low:.2f}, {self.high:.2f}]"
        how = "as fast as fp32" if self.faster is None else "slower than fp32"
        return f"{self.artifact} is {how} (time {self.ratio:.2f} {interval}): {self.why}."


def int8_findings(results: Sequence[Result], facts: Mapping[str, Any]) -> Iterator[Int8Finding]:
    """Judge every int8 artifact that was measured beside its fp32 twin.

    Args:
        results: Of one device.
        facts: Of its machine.
    """
    for result in results:
        ratio, low, high = (
            result.ratio_to_fp32,
            result.ratio_to_fp32_low,
            result.ratio_to_fp32_high,
        )
        if result.precision != "int8" or ratio is None or low is None or high is None:
            continue
        faster = None if low <= 1 <= high else ratio < 1
        why = "" if faster else _why(result, facts)
        yield Int8Finding(result.artifact, faster, ratio, low, high, why)


def _why(result: Result, facts: Mapping[str, Any]) -> str:
    """What is known of the reason, the most telling first."""
    if result.executed in (None, "unknown"):
        return f"{result.runtime} does not tell what it ran"
    if result.executed != "int8":
        return f"no int8 kernels, {result.runtime} ran it in {result.executed}"
    weighted = [op for op in result.ops or () if op["op"] in WEIGHTED_KINDS]
    total = sum(op["count"] for op in weighted)
    floats = sum(op["count"] for op in weighted if op["precision"] != "int8")
    if floats:
        return f"{floats} of {total} weighted operations ran in float"
    flags = _DOT_PRODUCTS.get(str(facts.get("architecture")), ())
    isa = facts.get("isa") or ()
    if flags and isa and not set(flags) & set(isa):
        return f"this processor has no int8 dot products (none of {', '.join(flags)})"
    return f"the int8 kernels of {result.runtime} gain nothing here"
