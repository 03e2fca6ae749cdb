"""The verdict: what is shipped, what is not and why, and what is said of int8."""

import json

import pytest

from edgeferry.app.int8_finding import int8_findings
from edgeferry.app.known_accuracy import AccuracyTable, read_accuracies
from edgeferry.app.results import Result, results_document
from edgeferry.app.verdict import Budget, judge
from edgeferry.errors import UsageError

PI4 = {"architecture": "aarch64", "isa": ["asimd", "crc32"]}
PI5 = {"architecture": "aarch64", "isa": ["asimd", "asimddp"]}


def measured(name, p50, memory=100.0, ratio=None, executed="int8", ops=None, marks=(), **extra):
    """A result of ``benchmark``; the digest is made of the name."""
    precision = name.split(".")[1]
    low, high = (None, None) if ratio is None else (ratio[1], ratio[2])
    return Result(
        artifact=name,
        format="tflite",
        precision=precision,
        runtime="litert",
        p50_ms=p50,
        peak_rss_mb=memory,
        size_bytes=1000,
        ratio_to_fp32=ratio and ratio[0],
        ratio_to_fp32_low=low,
        ratio_to_fp32_high=high,
        executed=executed if precision == "int8" else "fp32",
        ops=ops,
        extra={
            "device": "pi",
            "emulated": False,
            "threads": 4,
            "settings": {},
            "execution": "float32",
            "sha256": name.encode().hex().ljust(64, "0")[:64],
            "weights_sha256": None,
            "sustained": None,
            "marks": [{"name": mark, "text": mark} for mark in marks],
            **extra,
        },
    )


def evaluated(*rows):
    """What ``evaluate`` wrote: rows of name, top-1, agreement and reference."""
    results = [
        {
            "artifact": name,
            "precision": name.split(".")[1],
            "sha256": name.encode().hex().ljust(64, "0")[:64],
            "weights_sha256": None,
            "top1": top1,
            "agreement": agreement,
            "reference": reference,
        }
        for name, top1, agreement, reference in rows
    ]
    return AccuracyTable({"results": results})


FLOAT = measured("m.fp32.tflite", 100, 300)
INT8 = measured("m.int8.tflite", 40, 120, ratio=(0.4, 0.38, 0.42))
BOTH = [FLOAT, INT8]


def test_the_fastest_is_shipped_and_its_accuracy_called_unknown():
    verdict = judge("pi", BOTH, PI4, Budget(), None)
    assert verdict.document()["ship"] == "m.int8.tflite"
    assert "ship m.int8.tflite with litert, 4 threads: 40.00 ms and 120 MiB" in verdict.sentence
    assert "accuracy is unknown" in verdict.sentence
    assert "2.50 times faster than fp32 [2.38, 2.63]" in verdict.sentence


def test_an_accuracy_that_is_known_is_told():
    accuracies = evaluated(
        ("m.fp32.tflite", 80.0, None, None), ("m.int8.tflite", 79.5, 99.0, "m.fp32.tflite")
    )
    verdict = judge("pi", BOTH, PI4, Budget(), accuracies)
    assert "top-1 79.50 %, 0.50 points lost" in verdict.sentence
    assert [each["accuracy_drop"] for each in verdict.document()["ranking"]] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("budget", "ship", "reason"),
    [
        (Budget(accuracy_drop=0.3), "m.fp32.tflite", "0.50 points lost is more than 0.3 points"),
        (Budget(accuracy_drop=0.6), "m.int8.tflite", None),
        (Budget(latency_ms=50), "m.int8.tflite", "100.00 ms is over 50 ms"),
        (Budget(memory_mb=200), "m.int8.tflite", "300 MiB is over 200 MiB"),
        (Budget(latency_ms=10), None, "40.00 ms is over 10 ms"),
        (Budget(latency_ms=50, accuracy_drop=0.3), None, None),
    ],
)
def test_budgets_rule_out(budget, ship, reason):
    accuracies = evaluated(
        ("m.fp32.tflite", 80.0, None, None), ("m.int8.tflite", 79.5, 99.0, "m.fp32.tflite")
    )
    document = judge("pi", BOTH, PI4, budget, accuracies).document()
    assert document["ship"] == ship
    reasons = [reason for each in document["ranking"] for reason in each["reasons"]]
    assert reason is None or any(reason in each for each in reasons)
    assert ("nothing fits" in document["sentence"]) == (ship is None)


def test_a_large_loss_is_not_shipped_unasked():
    accuracies = evaluated(
        ("m.fp32.tflite", 80.0, None, None), ("m.int8.tflite", 70.0, 80.0, "m.fp32.tflite")
    )
    assert judge("pi", BOTH, PI4, Budget(), accuracies).document()["ship"] == "m.fp32.tflite"


def test_an_unknown_accuracy_does_not_pass_a_limit():
    verdict = judge("pi", BOTH, PI4, Budget(accuracy_drop=1), None)
    assert verdict.document()["ship"] is None
    assert "its accuracy is unknown" in verdict.sentence


def test_without_labels_changed_answers_count():
    accuracies = evaluated(
        ("m.fp32.tflite", None, None, None), ("m.int8.tflite", None, 99.25, "m.fp32.tflite")
    )
    verdict = judge("pi", BOTH, PI4, Budget(), accuracies)
    assert "0.75 % of its answers differ from the source's" in verdict.sentence


def test_an_accuracy_that_was_compared_with_nothing_passes_no_limit():
    accuracies = evaluated(("m.int8.tflite", 79.5, None, None))
    verdict = judge("pi", [INT8], PI4, Budget(accuracy_drop=1), accuracies)
    assert verdict.document()["ship"] is None
    assert judge("pi", [INT8], PI4, Budget(), accuracies).document()["ship"] is not None


def test_an_evaluation_that_found_nothing_tells_nothing():
    accuracies = evaluated(("m.fp32.tflite", None, None, None))
    assert "accuracy is unknown." in judge("pi", [FLOAT], PI4, Budget(), accuracies).sentence


def test_a_long_run_is_judged_by_its_last_minute():
    slowed = measured("m.int8.tflite", 90, sustained={"last_p50_ms": 150.0})
    verdict = judge("pi", [slowed], PI4, Budget(latency_ms=100), None)
    assert verdict.document()["ship"] is None
    sentence = judge("pi", [slowed], PI4, Budget(), None).sentence
    assert "150.00 ms in the last minute of a long run" in sentence


def test_accuracies_are_matched_by_digest_and_not_by_name():
    stranger = measured("m.int8.tflite", 40, sha256="f" * 64)
    accuracies = evaluated(("m.int8.tflite", 79.5, 99.0, None))
    assert "unknown" in judge("pi", [stranger], PI4, Budget(), accuracies).sentence


def test_a_doubtful_run_is_called_so():
    throttled = measured("m.int8.tflite", 40, marks=("throttled", "under-voltage"))
    sentence = judge("pi", [throttled], PI4, Budget(), None).sentence
    assert "doubtful (throttled, under-voltage): measure again" in sentence


def test_an_emulated_device_is_never_ranked_by_time():
    emulated = measured("m.int8.tflite", None, None, emulated=True)
    verdict = judge("pi", [emulated], PI4, Budget(), None)
    assert "emulated" in verdict.sentence
    assert "ms" not in verdict.sentence.split()
    assert verdict.int8 == ()


CONV = {"op": "Conv", "fused": False}


@pytest.mark.parametrize(
    ("result", "facts", "faster", "why"),
    [
        (measured("m.int8.x", 9, ratio=(0.5, 0.4, 0.6)), PI5, True, ""),
        (measured("m.int8.x", 9, ratio=(1.3, 1.2, 1.4)), PI4, False, "no int8 dot products"),
        (measured("m.int8.x", 9, ratio=(1.0, 0.9, 1.1)), PI5, None, "gain nothing here"),
        (
            measured("m.int8.x", 9, ratio=(1.3, 1.2, 1.4), executed="fp32"),
            PI5,
            False,
            "no int8 kernels, litert ran it in fp32",
        ),
        (
            measured(
                "m.int8.x",
                9,
                ratio=(1.3, 1.2, 1.4),
                ops=[
                    {**CONV, "precision": "int8", "count": 50},
                    {**CONV, "precision": "fp32", "count": 3},
                ],
            ),
            PI5,
            False,
            "3 of 53 weighted operations ran in float",
        ),
    ],
)
def test_whether_int8_is_faster_and_if_not_why(result, facts, faster, why):
    (finding,) = int8_findings([FLOAT, result], facts)
    assert finding.faster is faster
    assert why in finding.why
    assert (finding.why == "") == (faster is True)
    assert "faster" in str(finding) if faster else "fp32" in str(finding)


def test_what_evaluate_wrote_is_read(tmp_path):
    file = tmp_path / "evaluate.json"
    result = Result(
        "m.int8.x", top1=80.0, extra={"sha256": "0" * 64, "weights_sha256": None, "reference": None}
    )
    file.write_text(json.dumps(results_document("evaluate", [result])))
    found = read_accuracies(file).find(measured("m.int8.x", 9, sha256="0" * 64))
    assert (found.top1, found.drop) == (80.0, None)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"tool": {"command": "benchmark"}, "results": []}']
)
def test_anything_else_is_refused_by_name(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"other\.json is not what evaluate wrote"):
        read_accuracies(file)
    with pytest.raises(UsageError, match="gone"):
        read_accuracies(tmp_path / "gone.json")
