"""Run campaigns by hand: ``cd tests && python -m fuzz TARGET... --artifacts FOLDER``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fuzz.campaign import Campaign
from fuzz.targets import TARGETS, target_class


def main() -> int:
    """Do what the command line says; the exit code is 1 if something fell."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="TARGET", help=f"all, {', '.join(TARGETS)}")
    parser.add_argument("--artifacts", type=Path, required=True, help="artifacts in every format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="cases; the full number")
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that fell")
    asked = parser.parse_args()
    fell = 0
    for name in TARGETS if asked.targets == ["all"] else asked.targets:
        count = asked.count or target_class(name).full
        first, last = (0, count) if asked.case is None else (asked.case, asked.case + 1)
        began = time.monotonic()
        report = Campaign(name, asked.artifacts, asked.seed, asked.keep).run(first, last)
        print(f"{report}; {time.monotonic() - began:.0f} s in all", flush=True)
        for alike in report.alike():
            print(f"{len(alike)} like {alike[0]}", flush=True)
        fell += len(report.falls)
    return min(fell, 1)


if __name__ == "__main__":
    sys.exit(main())
