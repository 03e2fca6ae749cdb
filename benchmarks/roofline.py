"""What this processor can do in each precision and engine, beside what artifacts reach.

What it can do is the fastest run of large matrix products by constant weights in the same engine,
in GMAC/s; what an artifact reaches is its multiply-accumulates over its median latency. The
difference is what layers cost that are small, wait for memory, or multiply nothing. An engine may
pass 100 %: where it computes less than the file says (OpenVINO moves strides forward), or has
better kernels for convolutions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions
from edgeferry.artifact import find_artifacts
from edgeferry.devices.machine import machine_facts
from edgeferry.exporters.artifact_network import artifact_network
from edgeferry.files import atomic_write_text

PRODUCTS = Path(__file__).with_name("roofline_products.py")
ASKED = {
    "openvino": ("fp32", "bf16", "int8"),
    "onnxruntime": ("fp32", "int8"),
    "litert": ("fp32", "int8"),
}


def main() -> None:
    """Print Markdown tables, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, help="folder of exported artifacts")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=1024, help="of each product: size³ MACs")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--execution", choices=("float32", "auto"), default="float32")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    before = machine_facts()
    peaks = list(measure_peaks(options))
    print_peaks(peaks, options.threads)
    reached = list(measure_artifacts(options, peaks)) if options.artifacts else []
    print_artifacts(reached)
    if options.json:
        facts = {"before": before, "after": machine_facts()}
        document = {"machine": facts, "size": options.size, "peaks": peaks, "artifacts": reached}
        atomic_write_text(options.json, json.dumps(document, indent=2) + "\n")


def measure_peaks(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each engine, precision and number of threads, in a process of its own."""
    for engine, precisions in ASKED.items():
        for precision in precisions:
            for threads in options.threads:
                asked = {"engine": engine, "asked": precision, "threads": threads}
                yield asked | _product(asked, options)


def _product(asked: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    figures = {"threads": asked["threads"], "size": options.size, "seconds": options.seconds}
    command = [sys.executable, str(PRODUCTS), asked["engine"], asked["asked"]]
    command += [f"--{name}={value}" for name, value in figures.items()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SystemExit(f"{asked['engine']} failed on {asked['asked']}: {last[0]}")
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def measure_artifacts(
    options: argparse.Namespace, peaks: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Each artifact with each number of threads."""
    products = {
        artifact.path.name: sum(
            layer.multiply_accumulates or 0
            for layer in artifact_network(artifact.path, artifact.format).layers()
        )
        for artifact in find_artifacts([options.artifacts])
    }
    for threads in options.threads:
        asked = BenchmarkOptions(
            threads=threads, duration=options.seconds, execution=options.execution
        )
        for result in benchmark([options.artifacts], asked).results:
            assert result.p50_ms is not None
            rate = products[result.artifact] / result.p50_ms / 1e6
            peak = _peak(peaks, result.runtime, result.executed, threads)
            yield {
                "artifact": result.artifact,
                "engine": result.runtime,
                "executed": result.executed,
                "threads": threads,
                "p50_ms": result.p50_ms,
                "multiply_accumulates": products[result.artifact],
                "gmac_per_s": rate,
                "share_of_peak": rate / peak if peak else None,
                "marks": result.extra["marks"],
            }


def _peak(
    peaks: Sequence[dict[str, Any]], engine: str | None, executed: str | None, threads: int
) -> float | None:
    """What the engine reaches in a precision; None where that was not measured."""
    wanted = (engine, executed, threads)
    found = [
        each["best_gmac_per_s"]
        for each in peaks
        if (each["engine"], each["executed"], each["threads"]) == wanted
    ]
    return max(found, default=None)


def print_peaks(peaks: Sequence[dict[str, Any]], threads: Sequence[int]) -> None:
    """A row for each engine and precision."""
    counts = [f"GMAC/s, {count} thread{'s' if count > 1 else ''}" for count in threads]
    print(f"| engine | asked for | ran in | {' | '.join(counts)} |")
    print("|---|---|---|" + "---:|" * len(threads))
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in peaks:
        key = (each["engine"], each["asked"], each["executed"])
        rows.setdefault(key, []).append(f"{each['best_gmac_per_s']:.0f}")
    for key, figures in rows.items():
        print(f"| {' | '.join([*key, *figures])} |")


def print_artifacts(reached: Sequence[dict[str, Any]]) -> None:
    """A row for each artifact and number of threads."""
    if not reached:
        return
    print("\n| artifact | engine | ran in | threads | p50 ms | GMAC/s | of the products |")
    print("|---|---|---|---:|---:|---:|---:|")
    for each in reached:
        share = each["share_of_peak"]
        shown = "–" if share is None else f"{100 * share:.0f} %"
        doubtful = "*" if each["marks"] else ""
        print(
            f"| {each['artifact']} | {each['engine']} | {each['executed']} | {each['threads']} "
            f"| {each['p50_ms']:.2f}{doubtful} | {each['gmac_per_s']:.0f} | {shown} |"
        )
    if any(each["marks"] for each in reached):
        print("\n\\* doubtful: the machine did other work")


if __name__ == "__main__":
    main()
