"""Predictions for picture files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.answer_data import answer_arrays, answer_rows
from edgeferry.app.probe import Use, check_safe
from edgeferry.app.results import Result, results_document
from edgeferry.artifact import Artifact, open_artifact
from edgeferry.errors import ImageError
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import load
from edgeferry.runtimes.registry import choose_runtime
from edgeferry.runtimes.tasks import DecodingOptions


@dataclass(frozen=True)
class Answers:
    """What an artifact says about pictures.

    Attributes:
        result: The artifact.
        predictions: By picture, what ``Predictor.predict`` gave.
        failures: Error text by picture that cannot be read.
    """

    result: Result
    predictions: dict[str, Any]
    failures: dict[str, str]


def answers_document(answers: Sequence[Answers]) -> dict[str, Any]:
    """What ``predict --json`` writes.

    Args:
        answers: Of each artifact, about the same pictures.
    """
    failures = dict(answers[0].failures)
    return results_document("predict", [each.result for each in answers], {"failures": failures})


def answer(
    path: Path,
    pictures: Sequence[Path],
    decoding: DecodingOptions,
    runtime: str | None,
    options: RuntimeOptions,
    contract: Path | None = None,
) -> Answers:
    """Tell what is on pictures; those that cannot be read are failures beside the others.

    A file without digest is tried out in a process of its own first.

    Args:
        path: The artifact, or a model file of another maker.
        pictures: Picture files.
        decoding: What to make of its outputs.
        runtime: Name of the engine; None takes the first one installed for the format.
        options: How the engine shall run.
        contract: JSON file with the contract of a file that carries none.

    Raises:
        ImageError: If none can be read.
        EdgeferryError: If the artifact cannot be opened.
    """
    predictions: dict[str, Any] = {}
    errors: dict[str, ImageError] = {}
    artifact = open_artifact(path)
    chosen = choose_runtime(artifact.format, runtime)
    check_safe([artifact], Use(chosen, options, contract))
    with load(
        path,
        chosen,
        options.threads,
        options.execution,
        options.device,
        cache=options.cache,
        contract=contract,
    ) as predictor:
        for picture in pictures:
            try:
                predictions[str(picture)] = predictor.predict(
                    picture,
                    decoding.top_k,
                    least_score=decoding.least_score,
                    overlap=decoding.overlap,
                )
            except ImageError as error:
                errors[str(picture)] = error
    if not predictions:
        raise next(iter(errors.values()))
    failures = {picture: str(error) for picture, error in errors.items()}
    return Answers(_result(artifact, chosen, predictions), predictions, failures)


def _result(artifact: Artifact, runtime: str, predictions: dict[str, Any]) -> Result:
    listed = [_listed(picture, result) for picture, result in predictions.items()]
    return Result(
        artifact=artifact.path.name,
        format=artifact.format,
        precision=artifact.precision,
        runtime=runtime,
        images=len(predictions),
        size_bytes=artifact.size_bytes,
        extra={"predictions": listed},
    )


def _listed(picture: str, result: Any) -> dict[str, Any]:
    listed: dict[str, Any] = {"image": picture, "answers": answer_rows(result)}
    arrays = answer_arrays(result)
    return listed if arrays is None else listed | {"outputs": arrays}
