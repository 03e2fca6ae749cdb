"""TFLite's own ``benchmark_model``, for phones: they have no Python.

Its parameters and what it prints: ``tensorflow/lite/tools/benchmark`` of TensorFlow (README.md,
benchmark_model.cc, benchmark_tflite_model.cc). It is driven with random input.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeferry.devices.device import Command, Completed, Device
from edgeferry.errors import DeviceError, process_ending

_LOADING = 60
"""Seconds that loading the artifact, and a first inference, may take beside the measuring."""
_NO_PROGRAM = (126, 127)
"""Exit codes of ``timeout`` for what the system cannot start."""
_NUMBER = r"[\d.]+(?:e[+-]?\d+)?"
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: ({_NUMBER}), First inference: ({_NUMBER}), "
    rf"Warmup \(avg\): ({_NUMBER}), Inference \(avg\): ({_NUMBER})"
)
_COUNTED = re.compile(r"\bcount=[1-9].*")
_FIELD = re.compile(rf"\b(\w+)=({_NUMBER})")
_PEAK = re.compile(
    rf"(?:Overall peak memory footprint \(MB\) via periodic monitoring: "
    rf"|Peak memory footprint \(MB\): init=\S+ overall=)({_NUMBER})"
)
_NOT_DELEGATED = re.compile(
    r"Though XNNPACK delegate is explicitly applied, the model graph will not be"
    r"|Replacing 0 out of \d+ node\(s\) with delegate \(TfLiteXNNPackDelegate\)"
)
_DELEGATED = re.compile(
    r"Explicitly applied XNNPACK delegate"
    r"|Replacing \d+ out of \d+ node\(s\) with delegate \(TfLiteXNNPackDelegate\)"
    r"|Created TensorFlow Lite XNNPACK delegate for CPU"
)


@dataclass(frozen=True)
class PhoneTiming:
    """What one run told; times in milliseconds, which it measures in microseconds.

    Attributes:
        init_ms: Loading the artifact.
        first_ms: First inference.
        warm_up_ms: Mean of the inferences before the measuring, the first among them.
        mean_ms: Mean of the measured inferences.
        median_ms: Their median; None where the program is too old to tell.
        min_ms: The fastest.
        max_ms: The slowest.
        count: How many.
        peak_mb: Most memory that its process held, MiB, looked at every 50 ms; None where it
            does not tell.
        delegated: Whether XNNPACK ran the graph, or a part of it; None where it does not tell.
    """

    init_ms: float
    first_ms: float
    warm_up_ms: float
    mean_ms: float
    median_ms: float | None
    min_ms: float
    max_ms: float
    count: int
    peak_mb: float | None
    delegated: bool | None


class BenchmarkModel:
    """The program on a device; it is sent when first needed.

    Args:
        device: Where to run it.
        program: The program, a file of this machine that is built for the device.
    """

    def __init__(self, device: Device, program: Path) -> None:
        self._device = device
        self._program = program
        self._placed: str | None = None

    def run(
        self, graph: str, threads: int, seconds: float, warm_up_seconds: float = 0.5
    ) -> PhoneTiming:
        """Load an artifact in a fresh process, warm up, and time inferences; one of each at least.

        Args:
            graph: The artifact, a path for the device's commands.
            threads: Threads for one inference.
            seconds: How long to measure.
            warm_up_seconds: How long to warm up before.

        Raises:
            DeviceLostError: If the device was lost meanwhile.
            TimeLimitError: If it did not end.
            DeviceError: If it failed, or told nothing that can be read.
        """
        longest = max(seconds, warm_up_seconds)
        options = {
            "graph": graph,
            "num_threads": threads,
            "warmup_runs": 1,
            "warmup_min_secs": warm_up_seconds,
            "num_runs": 1,
            "min_secs": seconds,
            "max_secs": longest + 1,
            "use_xnnpack": "true",
            "report_peak_memory_footprint": "true",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        limit = seconds + warm_up_seconds + _LOADING
        done = self._device.run(Command([self._place(), *arguments], limit))
        return parsed(done, f"{self._program.name} on {self._device.name}")

    def _place(self) -> str:
        if self._placed is None:
            [path] = self._device.place([self._program])
            done = self._device.run(Command(["chmod", "755", path], 10))
            if done.code != 0:
                raise DeviceError(f"{path} cannot be made a program: {done.stderr.strip()}")
            self._placed = f"./{path}" if not path.startswith("/") else path
        return self._placed


def parsed(done: Completed, who: str) -> PhoneTiming:
    """Read what a run printed.

    Args:
        done: How it ended; what it printed may be in either stream.
        who: Program and device, for errors.

    Raises:
        DeviceError: If it failed, or told nothing that can be read; its last line is quoted.
    """
    text = f"{done.stdout}\n{done.stderr}"
    summaries = list(_SUMMARY.finditer(text))
    counts = [dict(_FIELD.findall(line)) for line in _COUNTED.findall(text)]
    if done.code != 0 or not summaries or len(counts) < 2:
        raise _failure(done, who)
    try:
        return _timing(summaries[-1].groups(), counts[-1], text)
    except (KeyError, ValueError):
        raise _failure(done, who) from None


def _timing(summary: tuple[str, ...], measured: Mapping[str, str], text: str) -> PhoneTiming:
    init, first, warm_up, mean = (float(each) / 1000 for each in summary)
    # Of a single inference, and of equal ones, only the last time is printed.
    lowest, highest = (float(measured.get(key, measured["curr"])) / 1000 for key in ("min", "max"))
    middle = measured.get("median")
    peak = _PEAK.search(text)
    return PhoneTiming(
        init_ms=init,
        first_ms=first,
        warm_up_ms=warm_up,
        mean_ms=mean,
        median_ms=float(middle) / 1000 if middle else None,
        min_ms=lowest,
        max_ms=highest,
        count=int(measured["count"]),
        peak_mb=float(peak[1]) if peak else None,
        delegated=_delegated(text),
    )


def _delegated(text: str) -> bool | None:
    if _NOT_DELEGATED.search(text):
        return False
    return True if _DELEGATED.search(text) else None


def _failure(done: Completed, who: str) -> DeviceError:
    last = next(_spoken(done.stderr), None) or next(_spoken(done.stdout), "it printed nothing")
    if done.code == 0:
        return DeviceError(f"what {who} printed cannot be read; its last line: {last}")
    ending = process_ending(128 - done.code if done.code > 128 else done.code)
    remedy = "Is it built for this device's processor?" if done.code in _NO_PROGRAM else ""
    return DeviceError(f"{who} failed ({ending}): {last}", remedy)


def _spoken(text: str) -> Iterator[str]:
    """Its lines that say something, the last one first."""
    return (line.strip() for line in reversed(text.splitlines()) if line.strip())
