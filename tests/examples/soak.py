"""Run the MQTT example and a predictor shared by eight threads for minutes; watch their memory.

    python tests/examples/soak.py ARTIFACT PICTURES --minutes 10

A real Mosquitto is killed and started again twice on the way. Every answer is compared with what
one thread gave. Prints a table, and PASS (exit code 0) where no answer was wrong, messages went on
after each restart, and resident memory grew by 2 MB at most after the first minute.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
sys.path[:0] = [str(HERE.parent), str(EXAMPLES)]

import numpy as np  # noqa: E402
from device_ends.mosquitto import Listener, Mosquitto  # noqa: E402
from frames import pictures  # noqa: E402
from memory_watch import MOST_GROWTH, growth, judge, resident, show  # noqa: E402

import edgeferry  # noqa: E402
from edgeferry.app.answer_data import answer_rows  # noqa: E402

TOPIC, TOP_K, THREADS = "soak", 3, 8


@dataclass
class Soak:
    """What is seen while it runs.

    Attributes:
        seconds: How long it shall run.
        samples: Seconds, MB of the node, MB of the threads' process.
        marks: Messages heard when the broker was killed, started, killed, started, and at the end.
        wrong: Answers that were not those of one thread.
    """

    seconds: float
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    wrong: int = 0

    def growth(self, column: int) -> float:
        """MB that a process grew by at most, after the first minute or fifth of the time."""
        return growth(
            [each[column] for each in self.samples if each[0] >= min(60, self.seconds / 5)]
        )


SERVICE = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
"""What docs/howto/embed.md advises for programs that run for long on many threads."""


def main() -> None:
    """Run it, judge it."""
    options = read_options()
    os.environ.update(SERVICE)
    files = [str(file) for file in pictures(Path(options.pictures))]
    with edgeferry.load(options.artifact, threads=1) as predictor:
        rows = [answer_rows(predictor.predict(file, TOP_K)) for file in files]
        expected = np.stack([predictor.predict_proba(file) for file in files])
    soak = Soak(options.minutes * 60)
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        listener = Listener(broker.port, TOPIC)
        with node(options, broker.port) as camera, crew(options.artifact, files, expected) as eight:
            watch(soak, broker, listener, camera.pid, eight)
            soak.wrong = eight.wrong.value + sum(
                each["predictions"] != rows[each["frame"] % len(rows)] for each in listener.messages
            )
        listener.close()
        broker.kill()
    sys.exit(not judge(promises(soak, camera.returncode)))


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", help="a classifier")
    parser.add_argument("pictures", help="a folder of pictures")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--interval", type=float, default=0.1, help="seconds a frame of the node")
    return parser.parse_args()


@contextmanager
def node(options: argparse.Namespace, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The example, ended by SIGTERM."""
    command = [sys.executable, str(EXAMPLES / "mqtt_camera.py"), options.artifact]
    command += ["--source", options.pictures, "--port", str(port), "--topic", TOPIC]
    command += ["--top-k", str(TOP_K), "--interval", str(options.interval), "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Crew:
    """Eight threads in a process of their own, and what they count."""

    process: Any
    answered: Any
    wrong: Any


@contextmanager
def crew(artifact: str, files: list[str], expected: Any) -> Iterator[Crew]:
    """Eight threads that share a predictor."""
    context = multiprocessing.get_context("spawn")
    answered, wrong, stop = context.Value("q"), context.Value("q"), context.Event()
    arguments = (artifact, files, expected, answered, wrong, stop)
    process = context.Process(target=work, args=arguments)
    process.start()
    try:
        yield Crew(process, answered, wrong)
    finally:
        stop.set()
        process.join()


def work(
    artifact: str, files: list[str], expected: Any, answered: Any, wrong: Any, stop: Any
) -> None:
    """In the threads' process: ask for all pictures again and again."""

    def ask(at: int) -> None:
        while not stop.is_set():
            at = (at + 1) % len(files)
            is_right = np.array_equal(predictor.predict_proba(files[at]), expected[at])
            for counter, count in ((answered, 1), (wrong, int(not is_right))):
                with counter.get_lock():
                    counter.value += count

    with edgeferry.load(artifact, threads=1) as predictor:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()


def watch(soak: Soak, broker: Mosquitto, listener: Listener, node_id: int, eight: Crew) -> None:
    """Take samples, and kill the broker at a third and at two thirds of the time."""
    third, away = soak.seconds / 3, min(max(soak.seconds / 60, 1), 10)
    plan = [(third, broker.kill), (third + away, broker.start)]
    plan += [(third + at, action) for at, action in plan]
    begun, step = time.monotonic(), min(5.0, soak.seconds / 30)
    show("seconds", "node MB", "threads MB", "messages", "answers", "broker")
    while (elapsed := time.monotonic() - begun) < soak.seconds:
        event = ""
        if plan and elapsed >= plan[0][0]:
            action = plan.pop(0)[1]
            action()
            event = action.__name__
            soak.marks.append(len(listener.messages))
        sizes = resident(node_id), resident(eight.process.pid)
        soak.samples.append((elapsed, *sizes))
        counts = len(listener.messages), eight.answered.value
        show(f"{elapsed:.0f}", *(f"{size:.1f}" for size in sizes), *counts, event)
        time.sleep(step)
    soak.marks.append(len(listener.messages))


def promises(soak: Soak, exit_code: int) -> dict[str, bool]:
    """Each thing that was promised, and whether it was kept."""
    first_kill, first_start, second_kill, second_start, end = soak.marks
    growths = {name: soak.growth(column) for column, name in ((1, "node"), (2, "threads"))}
    kept = {
        f"{name} grew by {growth:.2f} MB": growth <= MOST_GROWTH for name, growth in growths.items()
    }
    kept[f"{soak.wrong} wrong answers"] = not soak.wrong
    kept[f"{first_kill} messages before the first kill"] = first_kill > 0
    kept[f"{second_kill - first_start} after the first restart"] = second_kill > first_start
    kept[f"{end - second_start} after the second"] = end > second_start
    kept[f"the node ended with {exit_code}"] = exit_code == 0
    return kept


if __name__ == "__main__":
    main()
