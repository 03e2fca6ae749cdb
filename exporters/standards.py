"""What tools other than edgeferry read about a model, as far as several formats share it."""

from __future__ import annotations

from edgeferry.contract import Contract

_RESIZE_TYPES = {"shorter": "crop", "squash": "standard", "pad": "fit_to_window_letterbox"}
_INTERPOLATIONS = {"nearest": "NEAREST", "bicubic": "CUBIC"}
_SIGMOID_OF_HALF = "0.622459"


def label_lines(contract: Contract, space: str = " ") -> list[str]:
    """The labels, none of them empty and each on one line; none where the contract has none.

    Args:
        contract: What holds them.
        space: What stands between the words of one.
    """
    labels = enumerate(contract.labels or ())
    return [space.join(label.split()) or str(index) for index, label in labels]


def model_info(contract: Contract) -> dict[str, str]:
    """The ``model_info`` that OpenVINO's Model API opens models by.

    A type is claimed only where its reader gives the right answers.
    """
    resize = contract.input.resize
    info = {
        "labels": " ".join(label_lines(contract, "_")),
        "resize_type": _RESIZE_TYPES[resize.method],
        "interpolation_mode": _INTERPOLATIONS.get(resize.interpolation, "LINEAR"),
        "pad_value": "0",
        "reverse_input_channels": "False",
    }
    if _suits_classification(contract):
        info |= {"model_type": "Classification", "multilabel": "False"}
        if contract.head == "sigmoid":
            # Its reader takes the sigmoid of what the model gives, probabilities here.
            info |= {"multilabel": "True", "confidence_threshold": _SIGMOID_OF_HALF}
    return {key: value for key, value in info.items() if value}


def _suits_classification(contract: Contract) -> bool:
    """Whether the Model API's own classifier takes its pictures and reads its answers."""
    one_at_a_time = contract.input.batch in (1, None) and contract.input.channels == 3
    return contract.task == "classification" and contract.classes > 1 and one_at_a_time
