"""How much disk edgeferry takes beside numpy, Pillow and an engine."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row
from setting import Setting

from edgeferry.app.statistics import Ratio

_ROOT = Path(__file__).parents[1]
_GOAL_MB = 1.0


def installed_size(setting: Setting) -> Iterator[Row]:
    """The wheel, installed without its dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        wheel, target = Path(folder) / "wheel", Path(folder) / "installed"
        script = str(_ROOT / "scripts" / "build_wheel.py")
        subprocess.run([sys.executable, script, str(wheel)], check=True, capture_output=True)
        (built,) = wheel.glob("*.whl")
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--no-compile"]
        subprocess.run([*command, "--target", str(target), str(built)], check=True)
        size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    engine = importlib.metadata.distribution("ai-edge-litert")
    others = sum(Path(engine.locate_file(file)).stat().st_size for file in engine.files or ()) / 1e6
    ratio = Ratio(size / _GOAL_MB, float("nan"), float("nan"))
    yield Row(
        "installed, over 1 MB", f"beside LiteRT's {others:.0f} MB", size, 1.0, "MB", ratio, 1.0
    )
