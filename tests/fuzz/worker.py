"""The process that runs cases; ``campaign`` is the other side.

It is given a target's name and tells a line of JSON when it is ready, and before and after each
case. A case that works for too long ends the process (SIGPROF).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from random import Random
from typing import Any

from edgeferry.devices.processes import die_with_parent
from edgeferry.errors import EdgeferryError
from edgeferry.streams import private_stdout
from fuzz.target import Target
from fuzz.targets import target_class

_MOST_MEMORY = 12 << 30
"""Bytes of address space: the machine itself shall live."""
_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "pty.spawn")
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")
_CHANGES += ("os.chown", "os.truncate", "os.utime", "os.mkfifo", "os.mknod", "shutil.rmtree")
_PATHS = {"os.rename": slice(2), "os.link": slice(1, 2), "os.symlink": slice(1, 2)}
"""Which arguments are changed; the first, mostly."""
_REACHES = ("socket.connect", "socket.bind", "socket.getaddrinfo")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Notes what Python does that a case must not do.

    Args:
        allowed: Folders that may be written to.
        programs: Whether other programs may be started.
    """

    def __init__(self, allowed: list[Path], programs: bool) -> None:
        self._allowed = [os.path.realpath(each) for each in allowed]
        self._programs = programs
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _REACHES or (event in _STARTS and not self._programs):
            self.seen.append(f"{event}{arguments!r:.200}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING:
                self._check(event, path)
        elif event in _CHANGES:
            for path in arguments[_PATHS.get(event, slice(1))]:
                self._check(event, path)

    def _check(self, event: str, path: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.fspath(path)
        text = os.fsdecode(name)
        if os.path.basename(text) and not os.path.isabs(text):
            text = os.path.join(os.getcwd(), text)
        real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
        inside = any(real == each or real.startswith(each + os.sep) for each in self._allowed)
        if not inside and real != os.devnull:
            self.seen.append(f"{event}: {real}")


@contextmanager
def limited_time(seconds: float) -> Iterator[None]:
    """End this very process if what is inside works for longer."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def memory() -> tuple[int, int]:
    """Resident memory now, and the most since the last ``forget_peak``; KiB."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmRSS"].split()[0]), int(told["VmHWM"].split()[0])


def worked() -> float:
    """Processor time of this process and those it started, seconds."""
    return sum(os.times()[:4])


def forget_peak() -> None:
    """Let the peak of resident memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def run_case(target: Target, folder: Path, watch: Watch) -> dict[str, Any]:
    """Take in what lies in a folder.

    Returns:
        ``outcome`` (``answered``, ``refused`` or ``fell``), why, processor time and memory.
    """
    forget_peak()
    before, _ = memory()
    began, watch.seen = worked(), []
    outcome, why = "answered", ""
    watch.on = True
    try:
        with limited_time(target.seconds):
            target.run(folder)
    except EdgeferryError as error:
        outcome, why = "refused", f"{type(error).__name__}: {error.problem:.200}"
    except BaseException:
        outcome, why = "fell", traceback.format_exc()
    watch.on = False
    grown = (memory()[1] - before) / 1024
    if watch.seen:
        outcome, why = "fell", f"it did what it must not: {'; '.join(watch.seen)}"
    elif grown > target.memory_mb:
        outcome, why = "fell", f"memory grew by {grown:.0f} MiB; {target.memory_mb} are the bound"
    seconds = round(worked() - began, 2)
    return {"outcome": outcome, "why": why, "seconds": seconds, "mb": round(grown, 1)}


def case_folder(work: Path, target: Target, seed: int, index: int) -> tuple[Path, str]:
    """Make a case's input; the same for the same seed and index."""
    folder = work / f"case-{index}"
    folder.mkdir()
    random = Random(f"{type(target).__name__} {seed} {index}")
    return folder, target.make(random, folder)


def main() -> None:
    """Run the cases that the arguments name, in a folder that the parent made."""
    die_with_parent()
    answers = private_stdout()
    name, artifacts, work, seed, first, last = sys.argv[1:]
    folder = Path(work)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kind = target_class(name)
    platform.processor()  # asks a program, once
    tempfile.tempdir = str(folder / "tmp")
    scratch = folder / f"scratch-{first}"
    for each in (scratch, folder / "tmp"):
        each.mkdir(exist_ok=True)
    target = kind(Path(artifacts), scratch)
    watch = Watch([folder], kind.programs)

    if isinstance(sys.stdout, TextIOWrapper):  # as the command line does
        sys.stdout.reconfigure(errors="replace")

    def tell(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    tell({"ready": True})
    for index in range(int(first), int(last)):
        case, done = case_folder(folder, target, int(seed), index)
        tell({"index": index, "done": done})
        told = run_case(target, case, watch)
        if told["outcome"] != "fell":
            shutil.rmtree(case)
        tell({"index": index, **told})


if __name__ == "__main__":
    main()
