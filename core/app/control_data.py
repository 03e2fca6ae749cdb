"""What accuracy control tried, as plain data."""

from collections.abc import Mapping
from typing import Any

from edgeferry.app.accuracy_control import Attempt
from edgeferry.app.export_options import ControlReport


def control_data(controlled: Mapping[str, ControlReport]) -> dict[str, Any]:
    """Attempts and what came of them, by the artifact's file name."""
    return {
        name: {
            "holds": report.chosen.holds,
            "chosen": report.attempts.index(report.chosen),
            "sensitive_layers": list(report.sensitive),
            "failures": list(report.failures),
            "attempts": [attempt_data(attempt) for attempt in report.attempts],
        }
        for name, report in controlled.items()
    }


def attempt_data(attempt: Attempt) -> dict[str, Any]:
    """One attempt: how it was made, what it lost and what it weighs."""
    result = attempt.result
    return {
        "method": attempt.method,
        "equalized": attempt.recipe.equalize,
        "float_layers": list(attempt.recipe.float_layers),
        "images": result.images,
        "top1": result.top1,
        "agreement": result.agreement,
        "kl": result.kl,
        "drop": attempt.drop,
        "holds": attempt.holds,
        "size_bytes": result.size_bytes,
        "seconds": attempt.seconds,
    }
