"""Find a Python of a given version: ``find_python.py 3.11`` prints its path, or exits 1."""

import os
import subprocess
import sys
from pathlib import Path

_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def find_python(version: str) -> str | None:
    """An interpreter of that version that can make virtual environments, None if there is none.

    A name on PATH may be a stub that does not start, so each one found is started.
    """
    folders = [Path(folder) for folder in os.get_exec_path()]
    named = [str(folder / f"python{version}") for folder in folders]
    return next((python for python in [sys.executable, *named] if _is(python, version)), None)


def _is(python: str, version: str) -> bool:
    try:
        probe = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True)
    except OSError:
        return False
    return probe.returncode == 0 and probe.stdout.strip() == version


if __name__ == "__main__":
    found = find_python(sys.argv[1])
    print(found or "")
    sys.exit(found is None)
