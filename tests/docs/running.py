"""Runs the code blocks of a page one after another, as a reader would, in one folder."""

import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from docs.blocks import Block
from edgeferry.app.cli import run

SHORTER = {
    "export": {"--formats": "tflite", "--precisions": "fp32,int8"},
    "benchmark": {"--duration": "0.05"},
}
"""What a test asks beside what the page does, unless the page does: it takes seconds off."""
EPOCHS = 4


class Reader:
    """Does what the blocks of one page say.

    Args:
        folder: Where; each block finds there what earlier ones left.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, object] = {"__name__": "__main__"}

    def follow(self, block: Block) -> None:
        """Write the block to the file it names, or run it."""
        if block.title:
            (self._folder / block.title).write_text(block.text, encoding="utf-8")
            return
        with chdir(self._folder):
            if block.language == "python":
                exec(compile(block.text, str(block), "exec"), self._names)
            for command in block.commands() if block.language == "bash" else ():
                provide(command)
                code = self._run(command)
                assert code == 0, f"{block}: exit {code}: {command}"

    def _run(self, command: str) -> int:
        """Exit code of a command; what loads TensorFlow runs in this process, which has it."""
        program, *arguments = shlex.split(command, comments=True)
        if set(command) & set("|<>;&$`"):
            return _shell(command)
        if program == "edgeferry":
            return _edgeferry(*arguments)
        if program == "python" and Path(arguments[0]).parent == Path():
            return _python(arguments)
        return _shell(command)


def settle(folder: Path, environment: pytest.MonkeyPatch) -> None:
    """Keep what edgeferry keeps, and find what pages write, in a reader's folder."""
    environment.setenv("EDGEFERRY_CONFIG", str(folder / "config"))
    environment.setenv("XDG_STATE_HOME", str(folder / "state"))
    environment.syspath_prepend(str(folder))


def provide(command: str) -> None:
    """Write the results of an earlier run that a command names, from those of the later one."""
    files = [word for word in command.split() if word.endswith(".json")]
    for old, new in [files] if files and files[0].startswith("old") else []:
        shutil.copy(new, old)
        document = json.loads(Path(old).read_text(encoding="utf-8"))
        Path(old).write_text(json.dumps(_slowed(document)), encoding="utf-8")


def _slowed(document: dict[str, Any]) -> dict[str, Any]:
    """Results of a slow day: whatever this machine does meanwhile, a later run is no slower."""
    for result in document["results"]:
        if result["p50_ms"] is not None:
            result["p50_ms"] *= 1000
            result["timings_ns"] = [[1000 * ns for ns in turn] for turn in result["timings_ns"]]
    return document


def _edgeferry(name: str, *arguments: str) -> int:
    shorter = SHORTER.get(name, {}).items()
    added = [part for each in shorter if each[0] not in arguments for part in each]
    return run([name, *arguments, *added])


def _python(arguments: list[str]) -> int:
    """A script that the page wrote; one that trains does it briefly."""
    import keras

    fit = keras.Model.fit

    def brief(*given: Any, **options: Any) -> Any:
        return fit(*given, **{**options, "epochs": EPOCHS})

    with patch.object(sys, "argv", arguments), patch.object(keras.Model, "fit", brief):
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


def _shell(command: str) -> int:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", command], env={**os.environ, "PATH": path}, timeout=120)
    return done.returncode
