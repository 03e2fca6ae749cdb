"""How long ``evaluate`` takes on two Dask workers beside one, each a process of one thread."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

from rows import seconds, table, write

from edgeferry.app.evaluation import evaluate
from edgeferry.app.judge import EvaluationOptions
from edgeferry.runtimes.base import RuntimeOptions

GOAL = 0.6


def main() -> None:
    """Print a row, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("cluster.json"))
    options = parser.parse_args()
    from distributed import LocalCluster

    told = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    taken: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        clusters = {
            count: stack.enter_context(LocalCluster(n_workers=count, host="127.0.0.1", **told))
            for count in taken
        }
        for number in range(options.rounds + 1):
            for count, cluster in clusters.items():
                took = timed(options, cluster.scheduler_address)
                if number:  # the first imports on the workers
                    taken[count].append(took)
    rows = [seconds("evaluate, 2 workers over 1", options.artifact.name, taken[2], taken[1], GOAL)]
    print(table(rows))
    write(rows, options.json)


def timed(options: argparse.Namespace, scheduler: str) -> float:
    """Seconds of one evaluation."""
    asked = EvaluationOptions(
        options.images, engine=RuntimeOptions(threads=1), jobs=1, scheduler=scheduler
    )
    started = time.perf_counter()
    evaluate([options.artifact], asked)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
