"""Which answers changed against the reference, held to plain numpy."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgeferry.app.cli import run
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.judge import Judge
from edgeferry.app.subjects import artifact_subject
from edgeferry.artifact import METADATA_NAME, open_artifact

LABELS = ("red", "green", "blue", "gray", "violet", "white")


@pytest.fixture
def other(matrix):
    """A matrix that answers otherwise now and then."""
    noise = np.random.default_rng(2).normal(0, 0.01, matrix.shape)
    return (matrix + noise).astype(np.float32)


@pytest.fixture
def pair(tmp_path, matrix, other, write_network):
    """A float artifact, and one that answers otherwise now and then."""
    return [
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
        write_network(tmp_path / "colors.int8.onnx", "int8", other),
    ]


def probabilities(files, matrix):
    pixels = np.stack([np.asarray(Image.open(file), np.float64) for file in files])
    powers = np.exp(pixels.mean(axis=(1, 2)) @ matrix.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def flattened(pictures, folder):
    """The same pictures without labels."""
    folder.mkdir()
    for number, file in enumerate(sorted(pictures.glob("*/*.png"))):
        file.rename(folder / f"{number:02}.png")
    return folder


def without_labels(path, contract):
    import onnx

    model = onnx.load(path)
    own = replace(contract, labels=None, precision=path.suffixes[0][1:])
    onnx.helper.set_model_props(model, {METADATA_NAME: own.to_json()})
    onnx.save(model, path)


def named(index, score=None):
    answer = {"label": LABELS[index], "index": index}
    return answer if score is None else answer | {"score": pytest.approx(score, rel=1e-4)}


def expected_changes(files, root, before, after, truth):
    return [
        {
            "picture": file.relative_to(root).as_posix(),
            "true": None if index is None else named(index),
            "reference": named(theirs.argmax(), theirs.max()),
            "answer": named(own.argmax(), own.max()),
        }
        for file, theirs, own, index in zip(files, before, after, truth, strict=True)
        if theirs.argmax() != own.argmax()
    ]


def test_changed_answers_are_listed_with_both_answers(pair, pictures, matrix, other):
    files = sorted(pictures.glob("*/*.png"))
    truth = [LABELS.index(file.parent.name) for file in files]
    before, after = probabilities(files, matrix), probabilities(files, other)
    expected = expected_changes(files, pictures, before, after, truth)
    assert 1 < len(expected) < len(files)
    result = evaluate(pair, EvaluationOptions(pictures)).results[1]
    assert result.extra["changes"] == expected
    assert result.agreement == pytest.approx(100 * (1 - len(expected) / len(files)))


def test_classes_tell_how_many_right_answers_were_lost_and_won(pair, pictures, matrix, other):
    files = sorted(pictures.glob("*/*.png"))
    truth = np.array([LABELS.index(file.parent.name) for file in files])
    right = [probabilities(files, each).argmax(1) == truth for each in (matrix, other)]
    expected = []
    for index in range(len(LABELS)):
        before, after = (int(each[truth == index].sum()) for each in right)
        if before != after:
            counts = {"pictures": 4, "reference_right": before, "right": after}
            expected.append(named(index) | counts)
    expected.sort(key=lambda each: each["right"] - each["reference_right"])
    assert expected
    result = evaluate(pair, EvaluationOptions(pictures)).results[1]
    assert result.extra["classes"] == expected


def test_pictures_without_labels_are_counted_by_the_reference(
    pair, pictures, tmp_path, matrix, other
):
    flat = flattened(pictures, tmp_path / "flat")
    files = sorted(flat.glob("*.png"))
    before, after = probabilities(files, matrix), probabilities(files, other)
    first = before.argmax(1)
    agreed = Counter(first[first == after.argmax(1)].tolist())
    result = evaluate(pair, EvaluationOptions(flat)).results[1]
    assert (result.top1, result.agreement) == (None, pytest.approx(100 * agreed.total() / 20))
    unknown = [None] * len(files)
    assert result.extra["changes"] == expected_changes(files, flat, before, after, unknown)
    expected = {
        index: (count, count, agreed[index])
        for index, count in Counter(first.tolist()).items()
        if count != agreed[index]
    }
    found = {
        each["index"]: (each["pictures"], each["reference_right"], each["right"])
        for each in result.extra["classes"]
    }
    assert found == expected


def test_what_is_compared_with_nothing_has_no_changes(pair, pictures):
    extra = evaluate(pair, EvaluationOptions(pictures)).results[0].extra
    assert (extra["changes"], extra["classes"]) == (None, None)


def test_same_answers_are_an_empty_list(tmp_path, pictures, matrix, write_network):
    paths = [write_network(tmp_path / f"c.{each}.onnx", each, matrix) for each in ("fp32", "int8")]
    extra = evaluate(paths, EvaluationOptions(pictures)).results[1].extra
    assert (extra["changes"], extra["classes"]) == ([], [])


def test_answers_take_their_labels_from_the_file_given(pair, pictures, tmp_path, contract):
    for path in pair:
        without_labels(path, contract)
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    extra = evaluate(pair, EvaluationOptions(pictures, labels=file)).results[1].extra
    assert all(
        LABELS[each["answer"]["index"]] == each["answer"]["label"] for each in extra["changes"]
    )
    assert all(LABELS[each["index"]] == each["label"] for each in extra["classes"])


def test_pictures_of_a_list_are_named_from_its_folder(pair, pictures, tmp_path):
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "some.csv"
    names = [f"../pictures/{each.parent.name}/{each.name}" for each in pictures.glob("*/*.png")]
    file.write_text("\n".join(names), encoding="utf-8")
    changes = evaluate(pair, EvaluationOptions(file)).results[1].extra["changes"]
    assert changes
    assert {each["picture"] for each in changes} <= set(names)


def test_surest_answers_are_shown_and_the_rest_is_counted(
    tmp_path, pictures, matrix, write_network, capfd
):
    paths = [
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
        write_network(tmp_path / "colors.int8.onnx", "int8", -matrix),
    ]
    for file in list(pictures.glob("*/*.png")):
        Image.open(file).save(file.with_name(f"again_{file.name}"))
    out = tmp_path / "out.json"
    arguments = ["evaluate", *map(str, paths), "--images", str(pictures), "--json", str(out)]
    assert run(arguments) == 0
    shown = capfd.readouterr().out
    changes = json.loads(out.read_text())["results"][1]["changes"]
    assert len(changes) == 40
    changes.sort(key=lambda each: -each["reference"]["score"])
    lines = [line.split()[0] for line in shown.splitlines() if ".png" in line]
    assert lines == [each["picture"] for each in changes[:20]]
    assert "40 of 40 answers changed" in shown
    assert "20 more; --json lists all" in shown
    assert "gives fewer right answers in: " in shown


def test_reference_is_not_run_again_for_each_artifact(pair, pictures, tmp_path):
    expected = evaluate(pair, EvaluationOptions(pictures)).results
    reference, subject = (artifact_subject(open_artifact(path)) for path in pair)
    judge = Judge(reference.contract, EvaluationOptions(pictures), tmp_path)
    judge.judge(reference, None, keep=True)
    reference.path.unlink()
    assert judge.judge(subject, reference) == expected[1]
    assert judge.judge(subject, reference) == expected[1]
