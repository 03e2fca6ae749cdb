"""Benchmark: groups, ratios and warnings, and the document that is written."""

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from edgeferry.app.benchmark import benchmark
from edgeferry.app.benchmark_options import BenchmarkOptions, read_duration, read_settings
from edgeferry.app.cli import run
from edgeferry.app.results import results_schema
from edgeferry.app.statistics import ratio_of_medians
from edgeferry.errors import ContractError, EdgeferryError, UsageError

QUICK = BenchmarkOptions(threads=1, duration=0.05)


@pytest.fixture
def artifacts(tmp_path, write_network, matrix):
    return [
        write_network(tmp_path / f"colors.{precision}.onnx", precision, matrix)
        for precision in ("fp32", "int8")
    ]


def test_figures_come_from_the_raw_timings(artifacts):
    report = benchmark(artifacts, QUICK)
    by_precision = {result.precision: result for result in report.results}
    timings = {name: result.extra["timings_ns"] for name, result in by_precision.items()}
    for precision, result in by_precision.items():
        milliseconds = np.concatenate(timings[precision]) / 1e6
        assert result.p50_ms == pytest.approx(np.median(milliseconds))
        assert result.p90_ms == pytest.approx(np.percentile(milliseconds, 90))
        assert result.p99_ms == pytest.approx(np.percentile(milliseconds, 99))
        assert result.extra["min_ms"] == pytest.approx(milliseconds.min())
        assert result.extra["mean_ms"] == pytest.approx(milliseconds.mean())
        assert result.throughput == pytest.approx(1000 / milliseconds.mean())
    expected = ratio_of_medians(timings["int8"], timings["fp32"])
    found = by_precision["int8"]
    assert (found.ratio_to_fp32, found.ratio_to_fp32_low, found.ratio_to_fp32_high) == (
        expected.value,
        expected.low,
        expected.high,
    )
    assert found.extra["beside"] == "colors.fp32.onnx"
    assert by_precision["fp32"].ratio_to_fp32 is None


def test_without_a_twin_there_is_no_ratio(artifacts):
    (result,) = benchmark(artifacts[1:], QUICK).results
    assert (result.ratio_to_fp32, result.extra["beside"]) == (None, None)


def test_twins_are_of_one_source(tmp_path, contract, write_network, matrix, artifacts):
    import onnx

    from edgeferry.artifact import METADATA_NAME

    other = write_network(tmp_path / "other.int8.onnx", "int8", matrix)
    model = onnx.load(other)
    source = replace(contract.source, sha256="1" * 64)
    stranger = replace(contract, source=source, precision="int8", recipe="int8")
    onnx.helper.set_model_props(model, {METADATA_NAME: stranger.to_json()})
    onnx.save(model, other)
    results = benchmark([artifacts[0], other], QUICK).results
    assert [result.ratio_to_fp32 for result in results] == [None, None]


def test_an_artifact_given_twice_is_measured_once(artifacts):
    report = benchmark([artifacts[0], artifacts[0].parent, artifacts[0]], QUICK)
    assert [result.precision for result in report.results] == ["fp32", "int8"]


def test_one_that_fails_does_not_lose_the_others(artifacts, tmp_path, write_network):
    bad = write_network(tmp_path / "bad.fp16.onnx", "fp16", np.zeros((4, 6), np.float32))
    report = benchmark([*artifacts, bad], QUICK)
    assert [result.precision for result in report.results] == ["fp32", "int8"]
    assert list(report.failures) == ["bad.fp16.onnx"]


def test_all_failing_is_an_error(artifacts):
    with pytest.raises(EdgeferryError, match="litert"):
        benchmark(artifacts, replace(QUICK, runtime="litert"))


def test_foreign_model_is_refused_by_name(artifacts):
    import onnx

    model = onnx.load(artifacts[0])
    del model.metadata_props[:]
    onnx.save(model, artifacts[0])
    with pytest.raises(ContractError, match=r"colors\.fp32\.onnx"):
        benchmark(artifacts[:1], QUICK)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"duration": -1.0}, {"duration": float("nan")}])
def test_options_that_cannot_be_meant(wrong):
    with pytest.raises(UsageError):
        BenchmarkOptions(**wrong)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0.5", 0.5), ("90s", 90), ("10m", 600), ("1h", 3600)]
)
def test_durations_are_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "5 minutes", "1d", "nan"])
def test_durations_that_are_none(text):
    with pytest.raises(UsageError, match="--duration"):
        read_duration(text)


def test_engine_settings_are_pairs():
    assert read_settings(["spinning=off"]) == (("spinning", "off"),)
    with pytest.raises(UsageError, match="NAME=VALUE"):
        read_settings(["spinning"])


def test_command_writes_raw_timings_and_facts_of_the_machine(artifacts, tmp_path, capfd):
    asked = ["--threads", "1", "--duration", "0.05", "--json", "-"]
    assert run(["benchmark", *map(str, artifacts), *asked]) == 0
    document = json.loads(capfd.readouterr().out)
    jsonschema.Draft202012Validator(results_schema()).validate(document)
    assert document["complete"]
    (device,) = document["devices"]
    assert (device["name"], device["emulated"]) == ("local", False)
    assert [facts["group"] for facts in device["facts"]] == ["onnx"]
    assert all(
        facts[when]["physical_cores"] >= 1
        for facts in device["facts"]
        for when in ("before", "after")
    )
    assert [result["executed"] for result in document["results"]] == ["fp32", "fp32"]
    for result in document["results"]:
        assert len(result["timings_ns"]) == len(result["readings"]) == 10
        whole = np.concatenate(result["end_to_end_ns"]) / 1e6
        assert result["end_to_end_p50_ms"] == pytest.approx(np.median(whole))
        assert result["energy_mj"] is None or result["energy_mj"] > 0


def test_command_shows_a_table(artifacts, capfd):
    assert run(["benchmark", *map(str, artifacts), "--threads", "1", "--duration", "0.05"]) == 0
    shown = capfd.readouterr().out
    assert "colors.int8.onnx" in shown
    assert "p50 ms" in shown
