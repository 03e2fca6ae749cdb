"""Predictions for picture files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeferry.app.results import Result, results_document
from edgeferry.errors import ImageError
from edgeferry.runtimes.base import RuntimeOptions
from edgeferry.runtimes.predictor import Predictor, load
from edgeferry.runtimes.tasks import Prediction


@dataclass(frozen=True)
class Answers:
    """What an artifact says about pictures.

    Attributes:
        result: The artifact.
        predictions: By picture, best first.
        failures: Error text by picture that cannot be read.
    """

    result: Result
    predictions: dict[str, list[Prediction]]
    failures: dict[str, str]

    def document(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        return results_document("predict", [self.result], {"failures": self.failures})


def answer(
    artifact: Path,
    pictures: Sequence[Path],
    top_k: int,
    runtime: str | None,
    options: RuntimeOptions,
) -> Answers:
    """Tell what is on pictures; those that cannot be read are failures beside the others.

    Raises:
        ImageError: If none can be read.
        EdgeferryError: If the artifact cannot be opened.
    """
    predictions: dict[str, list[Prediction]] = {}
    errors: dict[str, ImageError] = {}
    with load(artifact, runtime, options.threads, options.execution, options.device) as predictor:
        for picture in pictures:
            try:
                predictions[str(picture)] = predictor.predict(picture, top_k)
            except ImageError as error:
                errors[str(picture)] = error
        result = _result(artifact, predictor, predictions)
    if not predictions:
        raise next(iter(errors.values()))
    failures = {picture: str(error) for picture, error in errors.items()}
    return Answers(result, predictions, failures)


def _result(
    artifact: Path, predictor: Predictor, predictions: dict[str, list[Prediction]]
) -> Result:
    listed = [
        {"image": picture, "answers": [asdict(answer) for answer in answers]}
        for picture, answers in predictions.items()
    ]
    return Result(
        artifact=artifact.name,
        precision=predictor.contract.precision,
        images=len(predictions),
        extra={"predictions": listed},
    )
