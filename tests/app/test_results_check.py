"""Results files from elsewhere: held to the schema, by all that read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeferry.app.compare import Limits, compare
from edgeferry.app.evaluation_record import _read as read_evaluation
from edgeferry.app.journal import read_earlier
from edgeferry.app.known_accuracy import read_accuracies
from edgeferry.app.layer_amounts import read_layer_amounts
from edgeferry.app.manifest import is_export_of, read_export
from edgeferry.app.report.documents import read_documents
from edgeferry.app.results_check import read_results
from edgeferry.artifact import Artifact
from edgeferry.errors import UsageError

SAMPLES = Path(__file__).parents[1] / "fuzz" / "samples"
NAMES = ("benchmark", "evaluate", "debug", "export")
READERS = {
    "compare": lambda path: compare(path, path, Limits()),
    "report": lambda path: read_documents([path]),
    "accuracy": read_accuracies,
    "benchmark --resume": lambda path: read_earlier(path, {}),
    "evaluate --resume": lambda path: read_evaluation(path, {}),
}


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


@pytest.fixture
def write(tmp_path):
    def written(document):
        path = tmp_path / "results.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return written


@pytest.mark.parametrize("name", NAMES)
def test_what_edgeferry_wrote_is_whole(name):
    assert read_results(SAMPLES / f"{name}.json", whole=True) == sample(name)


def test_what_another_version_wrote_may_have_more_and_less(write):
    document = sample("evaluate") | {"future": 1}
    del document["warnings"]
    path = write(document)
    assert read_results(path) == document
    with pytest.raises(ValueError, match=r"future|warnings"):
        read_results(path, whole=True)


@pytest.mark.parametrize("count", [1.0, True, "1", None, -1])
def test_what_is_counted_is_a_whole_number(count, write):
    path = write({**sample("evaluate"), "skipped": count})
    with pytest.raises(ValueError, match=r"^skipped: "):
        read_results(path)


@pytest.mark.parametrize("reader", READERS)
def test_a_newer_schema_is_refused_with_the_way_out(reader, write):
    path = write({**sample("evaluate"), "schema": 2})
    with pytest.raises(UsageError, match="schema 2; this edgeferry reads 1") as caught:
        READERS[reader](path)
    assert caught.value.remedy == "Read it with the edgeferry that wrote it"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"schema": 1, "tool": [], "results": [[]]}',
        '{"schema": 1, "tool": {"command": "evaluate"}, "results": {"a": 1}}',
        '{"schema": 1, "results": [{"artifact": "a", "p50_ms": 1e999}]}',
        "\\u0000",
    ],
)
def test_what_holds_no_results_is_refused_by_every_reader(reader, text, write):
    with pytest.raises(UsageError, match=r"results\.json"):
        READERS[reader](write(text))


@pytest.mark.parametrize(
    "change",
    [
        {"devices": [{"facts": []}]},
        {"devices": 5},
        {"devices": [5]},
        {"tool": {"command": "evaluate"}, "results": [{"artifact": "a", "device": ["pi"]}]},
        {
            "tool": {"command": "evaluate"},
            "results": [{"artifact": "a", "p50_ms": 1.0, "timings_ns": "many"}],
        },
    ],
)
def test_what_a_comparison_cannot_use_is_refused(change, write):
    result = {"artifact": "a", "device": "pi", "p50_ms": 1.0}
    path = write({"schema": 1, "tool": {"command": "benchmark"}, "results": [result], **change})
    with pytest.raises(UsageError, match=r"results\.json"):
        compare(path, path, Limits())


def test_amounts_of_no_artifact_are_refused(write):
    path = write({**sample("debug"), "results": []})
    with pytest.raises(UsageError, match="is not what debug or benchmark --profile wrote"):
        read_layer_amounts(path, Artifact(Path("a.tflite"), "tflite", None, 1))


@pytest.mark.parametrize("p50", [10**400, 10**308 * 2, 1e-320])
def test_times_that_no_float_can_divide_are_not_compared(p50, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    for path, value in ((old, p50), (new, 1e308)):
        result = {"artifact": "a", "p50_ms": value}
        path.write_text(
            json.dumps({"schema": 1, "tool": {"command": "benchmark"}, "results": [result]})
        )
    try:
        found = compare(old, new, Limits())
    except UsageError:
        return
    assert found.changes[0].latency is None


def test_very_many_rounds_are_compared_without_an_interval(write):
    result = {"artifact": "a", "p50_ms": 1.0, "timings_ns": [[1_000_000]] * 50_000}
    path = write({"schema": 1, "tool": {"command": "benchmark"}, "results": [result]})
    (change,) = compare(path, path, Limits()).changes
    assert change.latency.value == 1
    assert change.latency.low != change.latency.low, "it is not known"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": 1, "asked": NaN}', "[]", "1", ""])
def test_a_manifest_that_is_none_says_nothing(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert not is_export_of(tmp_path, {})
    assert read_export(tmp_path, {}) is None
