"""Which answers of an artifact are not the reference's, and which classes they cost."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from edgeferry.app.accuracy import Probabilities, as_classes
from edgeferry.contract import Contract


@dataclass(frozen=True)
class AnswerChange:
    """A picture whose first answer is another than the reference's.

    Attributes:
        picture: Its path below the folder of pictures.
        true: Its class; None where that is not known. A network of one class answers 1 for it
            and 0 for its absence.
        reference: The reference's first answer, a class index.
        reference_score: The reference's probability for it; None where that is not a number.
        own: The artifact's first answer.
        own_score: The artifact's probability for it, likewise.
    """

    picture: str
    true: int | None
    reference: int
    reference_score: float | None
    own: int
    own_score: float | None

    def to_dict(self, contract: Contract) -> dict[str, Any]:
        """Plain data, each answer with its label."""
        return {
            "picture": self.picture,
            "true": None if self.true is None else _named(contract, self.true),
            "reference": _named(contract, self.reference) | {"score": self.reference_score},
            "answer": _named(contract, self.own) | {"score": self.own_score},
        }


@dataclass
class AnswerChanges:
    """Counts answers by class and keeps those that changed; memory grows with these only.

    Attributes:
        name: Gives a picture's path by its position.
        labeled: Whether there are pictures whose class is known. Classes are then counted by
            it, on these pictures alone; by the reference's answer where there are none.
        changes: In the order of the pictures.
    """

    name: Callable[[int], str]
    labeled: bool
    changes: list[AnswerChange] = field(default_factory=list)
    _pictures: Counter[int] = field(default_factory=Counter)
    _before: Counter[int] = field(default_factory=Counter)
    _after: Counter[int] = field(default_factory=Counter)

    def add(
        self,
        positions: Sequence[int],
        truth: Sequence[int | None],
        own: Probabilities,
        reference: Probabilities,
    ) -> None:
        """Compare a batch.

        Args:
            positions: Of the pictures.
            truth: Their classes, None where not known.
            own: The artifact's probabilities, float32 ``[N, classes]``.
            reference: The reference's.
        """
        answers = as_classes(own), as_classes(reference)
        for position, true, mine, theirs in zip(positions, truth, *answers, strict=True):
            answer, before = int(mine.argmax()), int(theirs.argmax())
            counted = answer if np.isfinite(mine).all() else None
            self._count(true if self.labeled else before, counted, before)
            if counted != before:
                scores = _score(theirs, before), _score(mine, answer)
                change = AnswerChange(
                    self.name(position), true, before, scores[0], answer, scores[1]
                )
                self.changes.append(change)

    def classes(self, contract: Contract) -> list[dict[str, Any]]:
        """The classes whose number of right answers changed, the one that lost most first."""
        changed = [each for each in self._pictures if self._before[each] != self._after[each]]
        changed.sort(key=lambda each: (self._after[each] - self._before[each], each))
        return [
            {
                **_named(contract, each),
                "pictures": self._pictures[each],
                "reference_right": self._before[each],
                "right": self._after[each],
            }
            for each in changed
        ]

    def data(self, contract: Contract) -> dict[str, Any]:
        """What a result holds of this."""
        return {
            "changes": [change.to_dict(contract) for change in self.changes],
            "classes": self.classes(contract),
        }

    def _count(self, judged: int | None, answer: int | None, before: int) -> None:
        if judged is not None:
            self._pictures[judged] += 1
            self._before[judged] += before == judged
            self._after[judged] += answer == judged


def _score(probabilities: Probabilities, answer: int) -> float | None:
    score = float(probabilities[answer])
    return score if isfinite(score) else None


def _named(contract: Contract, index: int) -> dict[str, Any]:
    label = contract.label(index) if contract.classes > 1 else _yes_or_no(contract, index)
    return {"label": label, "index": index}


def _yes_or_no(contract: Contract, answer: int) -> str:
    if contract.labels is None:
        return str(answer)
    return contract.labels[0] if answer else f"not {contract.labels[0]}"
