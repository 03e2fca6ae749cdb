"""Driving ``benchmark_model`` on a phone, where a script stands for it, and reading its words."""

from __future__ import annotations

import os
import threading

import pytest

from edgeferry.devices.benchmark_model import BenchmarkModel, PhoneTiming, parsed
from edgeferry.devices.device import Completed, DeviceSettings
from edgeferry.devices.registry import open_device
from edgeferry.errors import DeviceError, DeviceLostError

pytest_plugins = ["device_ends.adb"]

NEW = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [4]
INFO: Graph: [model.tflite]
INFO: Loaded model model.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the \
delegate w/ 1 delegate kernels.
INFO: The input model file size (MB): 25.6
INFO: Initialized session in 41.5ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 3 seconds.
INFO: count=9 first=81913 curr=55502 min=55502 max=81913 avg=58984.7 std=8115 p5=55502 \
median=56000 p95=81913

INFO: Running benchmark for at least 1 iterations and at least 2 seconds but terminate if \
exceeding 3 seconds.
INFO: count=36 first=56576 curr=56299 min=54669 max=60236 avg=56265.8 std=982 p5=54700 \
median=56100 p95=60100

INFO: Inference timings in us: Init: 41500, First inference: 81913, Warmup (avg): 58984.7, \
Inference (avg): 56250
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=31.2 overall=80.1
INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.2383
INFO: Memory status at the end of exeution:
INFO: - VmRSS              : 93 MB
"""
OLD = """\
STARTING!
Initialized session in 17.187ms.
count=1 curr=3512391

count=2 first=2990275 curr=2913402 min=2913402 max=2990275 avg=2.95184e+06 std=38436

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, \
Inference (avg): 2.95184e+06
Peak memory footprint (MB): init=4.2 overall=46.0859
"""


def read(text: str, code: int = 0, stderr: str = "") -> PhoneTiming:
    return parsed(Completed(code, text, stderr), "benchmark_model on rok")


def test_what_a_new_program_prints_is_read():
    assert read(NEW) == PhoneTiming(
        init_ms=41.5,
        first_ms=81.913,
        warm_up_ms=58.9847,
        mean_ms=56.25,
        median_ms=56.1,
        min_ms=54.669,
        max_ms=60.236,
        count=36,
        peak_mb=93.2383,
        delegated=True,
    )
    assert read("", stderr=NEW) == read(NEW)


def test_what_an_old_program_prints_is_read():
    assert read(OLD) == PhoneTiming(
        init_ms=17.187,
        first_ms=3512.391,
        warm_up_ms=3512.39,
        mean_ms=2951.84,
        median_ms=None,
        min_ms=2913.402,
        max_ms=2990.275,
        count=2,
        peak_mb=46.0859,
        delegated=None,
    )


@pytest.mark.parametrize("last", ["count=1 curr=56299", "count=4 curr=56299(all same)"])
def test_equal_inferences_have_one_time(last):
    timing = read(NEW.replace(next(each for each in NEW.split("INFO: ") if "=36" in each), last))
    assert (timing.min_ms, timing.max_ms, timing.median_ms) == (56.299, 56.299, None)


@pytest.mark.parametrize(
    ("line", "delegated"),
    [
        ("Though XNNPACK delegate is explicitly applied, the model graph will not be", False),
        ("Replacing 0 out of 58 node(s) with delegate (TfLiteXNNPackDelegate) node", False),
        ("Replacing 58 out of 58 node(s) with delegate (TfLiteXNNPackDelegate) node", True),
        ("Replacing 58 out of 58 node(s) with delegate (TfLiteGpuDelegateV2) node", None),
    ],
)
def test_whether_xnnpack_took_the_graph_is_read(line, delegated):
    assert read(f"{line}\n{OLD}").delegated is delegated


def test_a_graph_that_xnnpack_left_is_told_although_the_delegate_was_made():
    text = NEW.replace(
        "Explicitly applied XNNPACK delegate, and the model graph will be partially",
        "Though XNNPACK delegate is explicitly applied, the model graph will not be",
    )
    assert read(text).delegated is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Segmentation fault",
        NEW.partition("INFO: Inference timings")[0],
        NEW.replace("count=36 ", "count=0 "),
        NEW.replace("curr=56299 min=54669 max=60236", ""),
        NEW.replace("Init: 41500", "Init: 4.1.5"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_last_line(text):
    with pytest.raises(DeviceError, match="on rok printed cannot be read") as caught:
        read(f"{text}\nthe last words\n\n")
    assert caught.value.problem.endswith("its last line: the last words")


@pytest.mark.parametrize(("code", "ending"), [(1, "exit code 1"), (139, "signal 11")])
def test_a_failure_is_told_with_its_last_words(code, ending):
    with pytest.raises(DeviceError) as caught:
        read(NEW, code, "ERROR: Failed to load model\nERROR: Benchmarking failed.\n")
    assert f"rok failed ({ending}): ERROR: Benchmarking failed." in caught.value.problem


@pytest.fixture
def device(phone):
    with open_device(DeviceSettings("rok", f"adb://{phone.serial}")) as device:
        yield device


@pytest.fixture
def stub(tmp_path):
    """Makes a script that stands for the program."""

    def made(script):
        path = tmp_path / "benchmark_model"
        path.write_text(f"#!/bin/sh\n{script}")
        return path

    return made


def test_one_run_measures_for_as_long_as_it_is_told(device, phone, stub):
    program = stub(f"echo \"$@\" >arguments; cat <<'END'\n{NEW}END\n")
    timing = BenchmarkModel(device, program).run("files/a b.tflite", 4, seconds=2)
    assert timing == read(NEW)
    assert (phone.root / "edgeferry/arguments").read_text().split("--") == [
        "",
        "graph=files/a b.tflite ",
        "num_threads=4 ",
        "warmup_runs=1 ",
        "warmup_min_secs=0.5 ",
        "num_runs=1 ",
        "min_secs=2 ",
        "max_secs=3 ",
        "use_xnnpack=true ",
        "report_peak_memory_footprint=true\n",
    ]


def test_the_program_is_sent_once(device, phone, stub):
    benchmark = BenchmarkModel(device, stub(f"cat <<'END'\n{NEW}END\n"))
    first = benchmark.run("model", 1, seconds=1)
    phone.full = True
    assert benchmark.run("model", 1, seconds=1) == first
    assert BenchmarkModel(device, benchmark._program).run("model", 1, seconds=1) == first


def test_a_crash_on_the_phone_is_an_error_that_names_it(device, stub):
    program = stub("echo Loaded model; kill -SEGV $$\n")
    with pytest.raises(DeviceError, match=r"benchmark_model on rok failed \(signal 11\)"):
        BenchmarkModel(device, program).run("model", 1, seconds=1)


def test_a_program_for_another_processor_is_an_error_with_the_way_out(device, tmp_path):
    program = tmp_path / "benchmark_model"
    program.write_bytes(b"\x7fELF and no more")
    with pytest.raises(DeviceError, match="benchmark_model on rok failed") as caught:
        BenchmarkModel(device, program).run("model", 1, seconds=1)
    assert "built for this device's processor" in caught.value.remedy


def test_a_phone_that_dies_meanwhile_is_lost(device, phone, stub):
    benchmark = BenchmarkModel(device, stub("echo on >gate; sleep 1000\n"))
    (phone.root / "edgeferry").mkdir()
    gate = phone.root / "edgeferry/gate"
    os.mkfifo(gate)
    killer = threading.Thread(target=lambda: (gate.read_text(), phone.die()))
    killer.start()
    with pytest.raises(DeviceLostError, match="rok was lost while"):
        benchmark.run("model", 1, seconds=1)
    killer.join()
