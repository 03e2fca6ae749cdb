"""What the long runs by hand go by: answers that are compared, and memory that is not kept."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

import edgeferry
from edgeferry.runtimes.ort_runtime import OrtRuntime
from edgeferry.runtimes.turns import inferences_at_once

PROGRAM = Path(__file__).with_name("endurance.py")
CALLS, MOST_KEPT = 1000, 100_000
OPENED, MOST_LEFT = 20, 10_000
FACTS = [
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
]
"""What glibc's mallinfo2 tells, in its order."""


def test_an_endurance_run_compares_every_answer(artifacts, exported):
    command = [sys.executable, "-W", "ignore", PROGRAM, *artifacts, exported.pictures / "3"]
    command += ["--threads", "8", "--calls", "900"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120)
    *_, answers, failed, memory = done.stdout.splitlines()
    count = int(answers.split()[1])
    assert answers == f"PASS {count} answers, 0 of them wrong", done.stderr
    assert count >= 900
    assert failed == "PASS 0 threads failed []"
    assert "memory grew by" in memory


def test_calls_leave_nothing_in_use(artifact, exported):
    file = next(exported.pictures.glob("*/*.png"))
    with edgeferry.load(artifact, threads=1) as predictor:
        for _ in range(CALLS):
            predictor.predict(file)
        before = in_use()
        for _ in range(CALLS):
            predictor.predict(file)
        assert in_use() - before < MOST_KEPT


def test_opening_and_closing_leaves_nothing_in_use(artifact, exported):
    def ask() -> None:
        with edgeferry.load(artifact, threads=1) as predictor:
            predictor.predict_proba(exported.images[0])

    for _ in range(OPENED):
        ask()
    before = in_use()
    for _ in range(OPENED):
        ask()
    assert in_use() - before < OPENED * MOST_LEFT


def in_use() -> int:
    """Bytes that were allocated and not freed: what pages hold beside them varies."""

    class Facts(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in FACTS]

    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("this system's C library is not the one that tells what is allocated")
    library.mallinfo2.restype = Facts
    facts = library.mallinfo2()
    return int(facts.uordblks + facts.hblkhd)


def test_no_more_inferences_are_under_way_than_have_use(exported, monkeypatch):
    """Each takes memory of its own, which ONNX Runtime then keeps."""
    pytest.importorskip("onnxruntime")
    limit = inferences_at_once()
    together = Barrier(limit, timeout=60)
    at_work: list[None] = []
    most: list[int] = []
    infer = OrtRuntime._infer

    def counted(self, images):
        at_work.append(None)
        most.append(len(at_work))
        together.wait()
        try:
            return infer(self, images)
        finally:
            at_work.pop()

    monkeypatch.setattr(OrtRuntime, "_infer", counted)
    path = exported.folder / "digits.int8.onnx"
    with edgeferry.load(path) as predictor, ThreadPoolExecutor(4 * limit) as pool:
        found = list(pool.map(predictor.predict_proba, exported.images[:1].repeat(16 * limit, 0)))
    assert max(most) == limit
    assert len(found) == 16 * limit
