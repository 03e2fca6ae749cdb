"""Two runs beside each other: what became worse, and by how much more than chance."""

import json

import jsonschema
import numpy as np
import pytest

from edgeferry.app.cli import run
from edgeferry.app.results import Result, results_document, results_schema

MACHINE = {"architecture": "aarch64", "processor": "Cortex-A76", "isa": ["asimddp"], "board": "Pi"}


def timings(milliseconds, spread=0.02, rounds=10):
    generator = np.random.default_rng(round(milliseconds * 1000))
    values = milliseconds * np.exp(spread * generator.standard_normal((rounds, 30)))
    return (values * 1e6).astype(int).tolist()


def measured(name, milliseconds, device="local", **told):
    raw = timings(milliseconds)
    extra = {"device": device, "threads": 2, "execution": "float32", "timings_ns": raw}
    p50 = float(np.median(np.concatenate(raw))) / 1e6
    return Result(name, runtime="litert", p50_ms=p50, extra={**extra, **told})


def judged(name, top1, agreement=None, images=800):
    return Result(name, runtime="litert", images=images, top1=top1, agreement=agreement)


@pytest.fixture
def write(tmp_path):
    def written(name, *results, machine=MACHINE):
        facts = [{"group": "tflite", "before": machine, "after": machine}]
        devices = [{"name": "local", "facts": facts}]
        document = results_document("benchmark", results, {"devices": devices})
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return str(path)

    return written


@pytest.fixture
def compared(tmp_path, capsys):
    def done(old, new, *options):
        path = tmp_path / "comparison.json"
        code = run(["compare", old, new, *options, "--json", str(path)])
        said = capsys.readouterr()
        document = json.loads(path.read_text()) if path.exists() else None
        if document is not None:
            jsonschema.Draft202012Validator(results_schema()).validate(document)
        return code, said, document

    return done


def test_much_slower_than_allowed_fails_and_is_named(write, compared):
    old, new = write("old.json", measured("a", 10)), write("new.json", measured("a", 12))
    code, said, document = compared(old, new, "--max-latency-regression", "10")
    (result,) = document["results"]
    assert code == 1
    assert "a failed: takes 1.2" in said.err
    assert result["latency_ratio_low"] <= result["latency_ratio"] <= result["latency_ratio_high"]
    assert result["latency_ratio"] == pytest.approx(1.2, rel=0.01)
    assert result["regressions"]
    assert result["old"]["p50_ms"] == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("milliseconds", [9, 10, 10.9])
def test_as_fast_as_allowed_passes(write, compared, milliseconds):
    old, new = write("old.json", measured("a", 10)), write("new.json", measured("a", milliseconds))
    code, _, document = compared(old, new, "--max-latency-regression", "10")
    assert code == 0
    assert document["failures"] == {}


def test_slower_by_chance_passes(write, compared):
    noisy = timings(10, spread=0.6), timings(11.3, spread=0.6)
    olds, news = (measured("a", 10, timings_ns=raw[:3]) for raw in noisy)
    old, new = write("old.json", olds), write("new.json", news)
    assert compared(old, new, "--max-latency-regression", "10")[0] == 0


def test_without_limits_it_only_shows(write, compared):
    old, new = write("old.json", measured("a", 10)), write("new.json", measured("a", 30))
    code, said, _ = compared(old, new)
    assert code == 0
    assert "10.0" in said.out
    assert "→" in said.out


def test_times_of_unlike_machines_are_not_compared(write, compared):
    old = write("old.json", measured("a", 10), judged("b", 80))
    other = {**MACHINE, "processor": "Cortex-A72"}
    new = write("new.json", measured("a", 30), judged("b", 80), machine=other)
    code, said, document = compared(old, new)
    assert code == 0
    assert "differ in processor" in said.err
    assert document["results"][0]["latency_ratio"] is None


def test_a_gate_that_sees_nothing_does_not_pass(write, compared):
    old = write("old.json", measured("a", 10))
    new = write("new.json", measured("a", 10), machine={**MACHINE, "isa": []})
    code, said, _ = compared(old, new, "--max-latency-regression", "10")
    assert code == 2
    assert "differ in isa" in said.err
    code, said, _ = compared(old, old, "--max-accuracy-drop", "1")
    assert code == 2
    assert "no accuracy" in said.err


def test_medians_alone_are_compared_without_an_interval(write, compared):
    bare = {"timings_ns": None}
    old = write("old.json", measured("a", 10, **bare))
    new = write("new.json", measured("a", 12, **bare))
    code, said, document = compared(old, new, "--max-latency-regression", "10")
    assert code == 1
    assert "no interval" in said.err
    assert document["results"][0]["latency_ratio_low"] is None


@pytest.mark.parametrize(("top1", "expected"), [(79.6, 0), (79.5, 0), (79.4, 1), (85, 0)])
def test_accuracy_may_fall_as_far_as_allowed(write, compared, top1, expected):
    old, new = write("old.json", judged("a", 80.0)), write("new.json", judged("a", top1))
    code, _, document = compared(old, new, "--max-accuracy-drop", "0.5")
    assert code == expected
    assert document["results"][0]["accuracy_drop"] == pytest.approx(80 - top1)


def test_agreement_counts_where_nothing_is_labeled(write, compared):
    old, new = (write(f"{x}.json", judged("a", None, x)) for x in (99.5, 97.0))
    code, said, _ = compared(old, new, "--max-accuracy-drop", "1")
    assert code == 1
    assert "2.50 points" in said.err


def test_other_pictures_are_told(write, compared):
    old, new = write("old.json", judged("a", 80)), write("new.json", judged("a", 80, images=50))
    assert "another number of pictures: a" in compared(old, new)[1].err


def test_what_is_in_one_run_only_is_listed(write, compared):
    old = write("old.json", measured("a", 10), measured("gone", 10))
    new = write("new.json", measured("a", 10), measured("a", 10, device="pi"))
    code, said, document = compared(old, new)
    assert code == 0
    assert document["only_old"] == ["gone"]
    assert document["only_new"] == ["a"]
    assert "only in the old run: gone" in said.out


def test_nothing_in_common_is_an_error(write, compared):
    old, new = write("old.json", measured("a", 10)), write("new.json", measured("b", 10))
    code, said, _ = compared(old, new)
    assert code == 2
    assert "no artifact in common" in said.err


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "results": [{}]}', '{"results": 3}']
)
def test_what_is_no_results_file_is_named(write, compared, tmp_path, text):
    broken = tmp_path / "broken.json"
    broken.write_text(text)
    code, said, _ = compared(write("old.json", measured("a", 10)), str(broken))
    assert code == 2
    assert "broken.json holds no results" in said.err


def test_results_of_a_newer_schema_are_refused(write, compared, tmp_path):
    old = write("old.json", measured("a", 10))
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps({**json.loads((tmp_path / "old.json").read_text()), "schema": 2}))
    code, said, _ = compared(old, str(newer))
    assert code == 2
    assert "schema 2" in said.err


def test_a_missing_file_is_named(write, compared):
    code, said, _ = compared("nowhere.json", write("new.json", measured("a", 10)))
    assert code == 2
    assert "nowhere.json" in said.err
