"""Heavy work in processes of its own: memory, crashes and threads stay apart.

A worker is ``python -m edgeferry.exporters.worker``. It reads one job as JSON from standard
input and answers in JSON lines: ``progress`` any number of times, then ``result`` or ``error``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from edgeferry.errors import EngineError, process_ending, rebuilt_error
from edgeferry.progress import Progress, silent
from edgeferry.streams import last_line

_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}


def run_job(job: Mapping[str, Any], progress: Progress = silent) -> dict[str, Any]:
    """Run one job in a fresh process and wait for it.

    Args:
        job: Plain data; ``kind`` says what to do.
        progress: Told how far the worker is.

    Raises:
        EdgeferryError: What the worker raised, or that it died.
    """
    command = [sys.executable, "-m", "edgeferry.exporters.worker"]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **_ENVIRONMENT},
        ) as process,
    ):
        try:
            return _converse(process, job, progress, stderr)
        finally:
            process.kill()


def _converse(
    process: subprocess.Popen[str], job: Mapping[str, Any], progress: Progress, stderr: IO[str]
) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):  # it died before it listened; how is told at the end
        process.stdin.write(json.dumps(job))
        process.stdin.close()
    for line in process.stdout:
        kind, content = json.loads(line).popitem()
        if kind == "progress":
            progress(*content)
        elif kind == "error":
            raise rebuilt_error(content)
        else:
            return dict(content)
    code = process.wait()
    raise EngineError(
        f"the {job.get('format', job['kind'])} process ended with {process_ending(code)}",
        "Let one format run at a time: --jobs 1" if code == -9 else last_line(stderr),
    )
