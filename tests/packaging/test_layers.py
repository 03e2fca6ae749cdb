"""Which room may import which: the contracts in pyproject.toml, on the package as installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_points_upward(installed: Path, tmp_path: Path) -> None:
    done = _lint(installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kept, 0 broken" in done.stdout


def test_an_import_that_points_upward_is_found(installed: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(["cp", "-r", str(installed), str(site)], check=True)
    with (site / "edgeferry" / "labels.py").open("a") as module:
        module.write("\nimport edgeferry.runtimes.registry\n")
    done = _lint(site, tmp_path)
    assert done.returncode != 0
    assert "edgeferry.labels -> edgeferry.runtimes.registry" in done.stdout


def _lint(site: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, str(ROOT / "pyproject.toml"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
