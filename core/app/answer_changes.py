"""Which answers of an artifact are not the reference's, and which classes they cost."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeferry.app.accuracy import Probabilities
from edgeferry.contract import Contract


@dataclass(frozen=True)
class AnswerChange:
    """A picture whose first answer is another than the reference's.

    Attributes:
        picture: Its path below the folder of pictures.
        true: Its class; None where that is not known.
        reference: The reference's first answer, a class index.
        reference_score: The reference's probability for it.
        own: The artifact's first answer.
        own_score: The artifact's probability for it.
    """

    picture: str
    true: int | None
    reference: int
    reference_score: float
    own: int
    own_score: float

    def to_dict(self, contract: Contract) -> dict[str, Any]:
        """Plain data, each answer with its label."""
        return {
            "picture": self.picture,
            "true": None if self.true is None else _named(contract, self.true),
            "reference": _named(contract, self.reference, self.reference_score),
            "answer": _named(contract, self.own, self.own_score),
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
        for position, true, mine, theirs in zip(positions, truth, own, reference, strict=True):
            answer, before = int(mine.argmax()), int(theirs.argmax())
            self._count(true if self.labeled else before, answer, before)
            if answer != before:
                scores = float(theirs[before]), float(mine[answer])
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

    def _count(self, judged: int | None, answer: int, before: int) -> None:
        if judged is not None:
            self._pictures[judged] += 1
            self._before[judged] += before == judged
            self._after[judged] += answer == judged


def _named(contract: Contract, index: int, score: float | None = None) -> dict[str, Any]:
    named: dict[str, Any] = {"label": contract.label(index), "index": index}
    return named if score is None else named | {"score": score}
