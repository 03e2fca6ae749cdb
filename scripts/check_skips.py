"""Fail on tests that were skipped and need not have been: ``check_skips.py JUNIT.xml``."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from find_python import find_python


def skipped(report: Path) -> Iterator[tuple[str, str]]:
    """Name and reason of every skipped test."""
    for case in ElementTree.parse(report).iter("testcase"):
        for skip in case.iter("skipped"):
            if skip.get("type") != "pytest.xfail":
                yield f"{case.get('classname')}.{case.get('name')}", skip.get("message", "")


def unavoidable(reason: str) -> bool:
    """Whether this machine lacks what the test needs."""
    if "tflite_runtime" in reason or "tflite-runtime is not installed" in reason:
        return True  # cannot live beside the exporters; test_tflite_runtime.py runs them apart
    if "Python 3.11" in reason:
        return find_python("3.11") is None
    if "is not installed" in reason:  # a system's program, which .ci/run brings where it can
        return shutil.which("apt-get") is None or os.geteuid() != 0
    if any(part in reason for part in ("may not ", "login shell", "not the one")):
        return True
    return "EDGEFERRY_FIXTURES" in reason and "EDGEFERRY_FIXTURES" not in os.environ


def main() -> None:
    """Name the avoidable skips and exit 1; say nothing where there are none."""
    avoidable = [
        (name, reason) for name, reason in skipped(Path(sys.argv[1])) if not unavoidable(reason)
    ]
    for name, reason in avoidable:
        print(f"skipped without need: {name}: {reason}", file=sys.stderr)
    sys.exit(bool(avoidable))


if __name__ == "__main__":
    main()
