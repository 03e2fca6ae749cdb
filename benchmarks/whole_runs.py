"""Whole processes: cold starts, exports, throughput; each run is a round of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rows import Row, seconds
from setting import SUFFIXES, Setting

_HERE = Path(__file__).parent
_STARTS = 9
_NOT_KEPT = "PYTHONDONTWRITEBYTECODE"


def cold_start(setting: Setting) -> Iterator[Row]:
    """A new process to its first answer, and the next one with what was compiled kept."""
    for model_format in SUFFIXES:
        path, picture = setting.ours(model_format), setting.picture(500, 375)
        cache = setting.folder / "compiled"
        shutil.rmtree(cache, ignore_errors=True)
        commands: Mapping[str, Sequence[str]] = {
            "ours": ("ours", path, picture),
            "kept": ("ours", path, picture, str(cache)),
            "bare": ("bare", path, picture),
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(_STARTS + 1):
            for name, arguments in commands.items():
                took = _timed([sys.executable, str(_HERE / "first_answer.py"), *arguments])
                if number:  # the first fills caches
                    taken[name].append(took)
        yield seconds("first answer", f"{model_format} int8", taken["ours"], taken["bare"], 1.1)
        if model_format != "tflite":
            case = f"{model_format} int8"
            yield seconds("first answer, second start", case, taken["kept"], taken["bare"], 0.7)


def export(setting: Setting) -> Iterator[Row]:
    """All nine artifacts beside the vendors' scripts one after another; where made in this run."""
    told = setting.export_seconds
    if {"ours", *SUFFIXES} <= told.keys():
        theirs = sum(told[name] for name in SUFFIXES)
        case = f"nine artifacts, {len(setting.pictures)} pictures"
        yield seconds("export", case, [told["ours"]], [theirs], 0.5)


def throughput(setting: Setting, count: int = 1000) -> Iterator[Row]:
    """A folder of pictures through ``evaluate``, beside the bare engine on decoded ones.

    What opening takes is left out: a tenth of the folder is subtracted.
    """
    folders = {size: _links(setting, size) for size in (count // 10, count)}
    for model_format in SUFFIXES:
        path = setting.ours(model_format)
        ours, theirs = [], []
        for _ in range(3):
            few, many = (
                _told("evaluate", {"path": path, "folder": str(folder)})
                for folder in folders.values()
            )
            ours.append((count - count // 10) / (many - few))
            theirs.append(_told("bare", {"path": path, "count": count}))
        ratio = seconds("", "", [1 / each for each in theirs], [1 / each for each in ours], None)
        goal = 0.8 if model_format == "openvino" else 0.9
        yield Row(
            "pictures a second, evaluate over bare engine (higher is better)",
            f"{model_format} int8, {count} pictures of 500x375",
            1 / ratio.theirs,
            1 / ratio.ours,
            "1/s",
            ratio.ratio,
            goal,
        )


def _links(setting: Setting, count: int) -> Path:
    """A folder that holds one picture many times."""
    folder = setting.folder / f"{count}-pictures"
    if not folder.exists():
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:04}.jpg").symlink_to(Path(setting.picture(500, 375)).absolute())
    return folder


def _told(what: str, arguments: Mapping[str, Any]) -> float:
    script = [sys.executable, str(_HERE / "many_pictures.py"), what, json.dumps(arguments)]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    # Compiled modules are kept, as an installation keeps them.
    environment = {key: value for key, value in os.environ.items() if key != _NOT_KEPT}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started
