"""What a user tells of a model file that edgeferry did not make, in place of a contract inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from edgeferry.checked import line, read_json, several, text, whole_number
from edgeferry.contract import Preprocessing, ResizeRule
from edgeferry.errors import ContractError
from edgeferry.labels import read_labels

GivenHead = Literal["logits", "softmax", "sigmoid"]
_KEYS = (
    "preprocessing",
    "task",
    "head",
    "labels",
    "size",
    "resize",
    "crop_ratio",
    "interpolation",
    "outputs",
)


@dataclass(frozen=True)
class GivenContract:
    """What cannot be read from a foreign file; sizes, types and layout are read from it.

    Attributes:
        preprocessing: What its input expects; done on the host.
        task: What its outputs mean, where their shapes do not tell.
        head: What its scores are: ``logits`` (softmax is done on the host), ``softmax`` or
            ``sigmoid``. Classification and segmentation need it.
        labels: One per class, or None.
        size: Height and width, for a file whose input size is dynamic.
        resize: The host's resize rule.
        outputs: The file's names of outputs by the contract's; for detection ``boxes`` and
            ``scores``. Empty takes them as they are.
    """

    preprocessing: Preprocessing
    task: str | None = None
    head: GivenHead | None = None
    labels: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    resize: ResizeRule = field(default_factory=ResizeRule)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preprocessing not in get_args(Preprocessing):
            raise ContractError(
                f"unknown preprocessing {self.preprocessing!r}; "
                f"known: {', '.join(get_args(Preprocessing))}"
            )
        if self.head not in (None, *get_args(GivenHead)):
            raise ContractError(
                f"unknown head {self.head!r}; known: {', '.join(get_args(GivenHead))}"
            )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read it from JSON; ``labels`` may name a file, beside it.

        Its keys are the options of ``edgeferry export``: ``preprocessing``, ``task``, ``head``,
        ``labels``, ``size``, ``resize``, ``crop_ratio``, ``interpolation``; and ``outputs``.

        Raises:
            ContractError: If it cannot be read or holds something else.
            LabelError: If the labels cannot be read.
        """
        try:
            data = read_json(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ContractError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise ContractError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(data, dict):
            raise ContractError(f"{path} holds no JSON object")
        labels = data.get("labels")
        if isinstance(labels, str):
            if not (path.parent / labels).is_file():
                raise ContractError(f"there is no file of labels {labels!r:.200} beside {path}")
            data["labels"] = read_labels(path.parent / labels)
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read plain data, with the keys that ``from_file`` lists.

        Raises:
            ContractError: If it holds something else.
        """
        if unknown := sorted(data.keys() - set(_KEYS)):
            raise ContractError(
                f"the contract given has {unknown[0]!r}", f"Known: {', '.join(_KEYS)}"
            )
        if "preprocessing" not in data:
            raise ContractError(
                "the contract given does not say what the model's input expects",
                f'Add "preprocessing": one of {", ".join(get_args(Preprocessing))}',
            )
        try:
            rule = {"method": data["resize"]} if "resize" in data else {}
            rule |= {key: data[key] for key in ("crop_ratio", "interpolation") if key in data}
            labels = data.get("labels")
            return cls(
                preprocessing=data["preprocessing"],
                task=data.get("task"),
                head=data.get("head"),
                labels=None if labels is None else several(labels, line),
                size=_size(data.get("size")),
                resize=ResizeRule(**rule),
                outputs={name: text(told) for name, told in data.get("outputs", {}).items()},
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise ContractError(f"the contract given is malformed: {error!s:.200}") from error


def _size(told: Any) -> tuple[int, int] | None:
    """Height and width from 224, ``"224x320"`` or ``[224, 320]``."""
    if told is None:
        return None
    sides = told.split("x") if isinstance(told, str) else told
    sides = sides if isinstance(sides, list | tuple) else [sides]
    whole = [whole_number(int(side) if isinstance(side, str) else side, 1) for side in sides]
    if len(whole) not in (1, 2):
        raise ValueError(f"no size: {told!r:.40}")
    return whole[0], whole[-1]
