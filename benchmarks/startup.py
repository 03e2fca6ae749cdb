"""How long ``import edgeferry`` and ``edgeferry --help`` take, beside a bare Python.

Rounds are interleaved, so that a slow spell of the machine hits all of them alike.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import edgeferry"': [sys.executable, "-c", "import edgeferry"],
    "edgeferry --help": [str(Path(sys.executable).with_name("edgeferry")), "--help"],
}


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every run, by command; one run of each beforehand fills the caches."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            took = _timed(command)
            if number:
                seconds[name].append(took)
    return seconds


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians and what each adds to a bare Python."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    medians = {
        name: 1000 * statistics.median(seconds)
        for name, seconds in measure(parser.parse_args().rounds).items()
    }
    bare = next(iter(medians.values()))
    for name, milliseconds in medians.items():
        print(f"{name:32} {milliseconds:7.1f} ms   {milliseconds - bare:+7.1f} ms")


if __name__ == "__main__":
    main()
