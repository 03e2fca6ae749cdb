"""Evaluation, held to plain numpy."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgeferry.app.accuracy import Tally, divergences
from edgeferry.app.evaluation import EvaluationOptions, evaluate
from edgeferry.app.results import results_schema
from edgeferry.errors import ContractError, EdgeferryError, ImageError, LabelError

LABELS = ("red", "green", "blue", "gray", "violet", "white")


def answers(pictures: Path, matrix: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[int]]:
    """What the network of conftest says, by its definition; and the truth."""
    files = sorted(pictures.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(file), np.float64) for file in files])
    logits = pixels.mean(axis=(1, 2)) @ matrix.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    truth = [LABELS.index(file.parent.name) for file in files]
    return powers / powers.sum(axis=1, keepdims=True), truth


def test_figures_are_those_of_plain_numpy(tmp_path, pictures, matrix, write_network):
    other = matrix + np.random.default_rng(2).normal(0, 0.005, matrix.shape).astype(np.float32)
    paths = [
        write_network(tmp_path / "colors.int8.onnx", "int8", other),
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
    ]
    report = evaluate(paths, EvaluationOptions(pictures))
    exact, truth = answers(pictures, matrix)
    rough, _ = answers(pictures, other)
    result = report.results[0]
    assert [each.artifact for each in report.results] == ["colors.int8.onnx", "colors.fp32.onnx"]
    assert result.images == len(truth)
    assert result.top1 == pytest.approx(100 * np.mean(rough.argmax(1) == truth))
    ranked = np.argsort(-rough, axis=1)[:, :5]
    in_five = [index in row for row, index in zip(ranked, truth, strict=True)]
    assert result.top5 == pytest.approx(100 * np.mean(in_five))
    agreement = 100 * np.mean(rough.argmax(1) == exact.argmax(1))
    assert 0 < agreement < 100
    assert result.agreement == pytest.approx(agreement)
    kl = np.sum(exact * np.log(exact / rough), axis=1).mean()
    assert result.kl == pytest.approx(kl, rel=1e-4)
    noise = np.sum((exact - rough) ** 2)
    assert result.sqnr_db == pytest.approx(10 * np.log10(np.sum(exact**2) / noise), rel=1e-4)


def test_reference_itself_is_compared_with_nothing(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    (result,) = evaluate([path], EvaluationOptions(pictures)).results
    assert result.top1 is not None
    assert (result.agreement, result.kl, result.extra["reference"]) == (None, None, None)


def test_reference_of_another_place_gets_a_row_of_its_own(
    tmp_path, pictures, matrix, write_network
):
    path = write_network(tmp_path / "one.onnx", "fp32", matrix)
    reference = write_network(tmp_path / "other.onnx", "fp32", matrix)
    report = evaluate([path], EvaluationOptions(pictures, reference=reference))
    assert [each.artifact for each in report.results] == ["other.onnx", "one.onnx"]
    assert report.results[1].agreement == 100
    assert report.results[1].kl == pytest.approx(0, abs=1e-12)


def test_unlabeled_pictures_have_agreement_but_no_accuracy(
    tmp_path, pictures, matrix, write_network
):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(pictures.glob("*/*.png")):
        file.rename(flat / f"{number}.png")
    paths = [
        write_network(tmp_path / f"colors.{precision}.onnx", precision, matrix)
        for precision in ("fp32", "int8")
    ]
    result = evaluate(paths, EvaluationOptions(flat)).results[1]
    assert (result.top1, result.top5, result.extra["labeled"]) == (None, None, 0)
    assert result.extra["top1_low"] is None
    assert result.agreement == 100


def test_interval_holds_the_value(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    (result,) = evaluate([path], EvaluationOptions(pictures)).results
    assert 0 <= result.extra["top1_low"] < result.top1 < result.extra["top1_high"] <= 100


def test_unreadable_pictures_are_skipped_and_counted(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    (pictures / "red" / "0.png").write_bytes(b"no picture")
    report = evaluate([path], EvaluationOptions(pictures))
    assert (report.pictures, report.skipped, report.results[0].images) == (20, 1, 19)
    assert "1 of 20" in report.warnings[0]


def test_pictures_all_unreadable_are_an_error(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    for file in pictures.glob("*/*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(ImageError, match="none of the pictures"):
        evaluate([path], EvaluationOptions(pictures))


def test_label_that_matches_nothing_is_an_error(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    (pictures / "red").rename(pictures / "rad")
    with pytest.raises(LabelError, match="red"):
        evaluate([path], EvaluationOptions(pictures))


def test_artifact_that_cannot_run_does_not_lose_the_others(
    tmp_path, pictures, matrix, write_network
):
    good = write_network(tmp_path / "good.onnx", "fp32", matrix)
    bad = write_network(tmp_path / "bad.onnx", "int8", np.zeros((4, 6), np.float32))
    report = evaluate([good, bad], EvaluationOptions(pictures))
    assert [each.artifact for each in report.results] == ["good.onnx"]
    assert list(report.failures) == ["bad.onnx"]


def test_artifacts_that_all_fail_are_an_error(tmp_path, pictures, matrix, write_network):
    path = write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix)
    with pytest.raises(EdgeferryError, match="litert"):
        evaluate([path], EvaluationOptions(pictures, runtime="litert"))


def test_foreign_model_is_refused_by_name(tmp_path, pictures, matrix, write_network):
    import onnx

    path = write_network(tmp_path / "foreign.onnx", "fp32", matrix)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ContractError, match=r"foreign\.onnx"):
        evaluate([path], EvaluationOptions(pictures))


def test_sigmoid_heads_diverge_label_by_label():
    reference = np.array([[0.2, 0.9]])
    own = np.array([[0.3, 0.6]])

    def bernoulli(p: float, q: float) -> float:
        return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    expected = (bernoulli(0.2, 0.3) + bernoulli(0.9, 0.6)) / 2
    assert divergences(reference, own, "sigmoid") == pytest.approx([expected])


def test_probability_of_zero_keeps_the_divergence_finite():
    reference, own = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert np.isfinite(divergences(reference, own, "softmax")).all()


def test_trained_model_is_a_reference_with_a_row_of_its_own(exported):
    options = EvaluationOptions(exported.pictures, reference=exported.keras_path)
    report = evaluate([exported.folder], options)
    source, *artifacts = report.results
    right = exported.reference.argmax(1) == exported.classes
    assert (source.artifact, source.format) == (exported.keras_path.name, "keras")
    assert source.top1 == pytest.approx(100 * right.mean())
    assert (source.agreement, len(artifacts)) == (None, 9)
    by_name = {each.artifact: each for each in artifacts}
    for result in artifacts:
        assert result.images == len(exported.classes)
        assert result.extra["reference"] == exported.keras_path.name
        assert result.agreement >= {"fp32": 100, "fp16": 99, "int8": 98}[result.precision]
    assert by_name["digits.fp32.onnx"].kl < by_name["digits.int8.onnx"].kl < 0.03


def test_one_sigmoid_answers_yes_or_no():
    tally = Tally("sigmoid")
    own = np.array([[0.9], [0.4], [0.6], [0.2]], np.float32)
    reference = np.array([[0.8], [0.6], [0.7], [0.1]], np.float32)
    tally.add(own, [1, 1, 0, 0], reference)
    measures = tally.measures()
    assert (measures["top1"], measures["agreement"]) == (50, 75)


def test_answers_that_are_not_numbers_are_wrong_and_make_no_figures():
    tally = Tally("softmax")
    own = np.array([[np.nan, np.nan], [0.3, 0.7]], np.float32)
    tally.add(own, [0, 1], np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    measures = tally.measures()
    assert (tally.broken, measures["top1"], measures["agreement"]) == (1, 50, 50)
    assert (measures["kl"], measures["sqnr_db"]) == (None, None)


def test_answers_that_are_not_numbers_are_counted_in_a_warning(
    tmp_path, pictures, matrix, write_network
):
    paths = [
        write_network(tmp_path / "colors.int8.onnx", "int8", matrix * np.float32(np.nan)),
        write_network(tmp_path / "colors.fp32.onnx", "fp32", matrix),
    ]
    report = evaluate(paths, EvaluationOptions(pictures))
    assert "colors.int8.onnx: 20 of 20 answers are not numbers" in report.warnings
    document = report.document()
    jsonschema.validate(document, results_schema())
    json.dumps(document, allow_nan=False)
    assert len(document["results"][0]["changes"]) == 20
