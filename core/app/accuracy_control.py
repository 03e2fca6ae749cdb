"""Accuracy-controlled quantization: try one way after another until the accuracy holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from edgeferry.app.results import Result
from edgeferry.calibration.ranges import AUTO, METHODS
from edgeferry.contract import ControlInfo
from edgeferry.errors import EdgeferryError
from edgeferry.exporters.recipes import Recipe

_LARGEST_SHARE = 0.5
"""Of the layers that may be left in float; with more of them there is nothing to be gained."""

NAMED = 3
"""Layers that are named where there are more."""


@dataclass(frozen=True)
class Attempt:
    """One way to quantize, and how it did on the validation pictures.

    Attributes:
        recipe: How it was made.
        method: The range-finding method that comes to.
        path: The artifact.
        result: What was measured of it.
        drop: Percentage points lost against the fp32 artifact.
        holds: Whether that is little enough.
        seconds: Time it took to make.
    """

    recipe: Recipe
    method: str
    path: Path
    result: Result
    drop: float
    holds: bool
    seconds: float


@dataclass(frozen=True)
class ControlTools:
    """What an attempt takes.

    Attributes:
        reference: The fp32 artifact, measured on the validation pictures.
        make: Writes an artifact by a recipe; gives seconds.
        judge: Measures an artifact on the same pictures.
        rank: Layers of an int8 artifact, the one that adds most error first.
        folder: For the artifacts of the attempts.
        suffix: Of their files.
        warnings: What the user should know of the pictures, once they were judged.
    """

    reference: Result
    make: Callable[[Recipe, Path], float]
    judge: Callable[[Path], Result]
    rank: Callable[[Path], list[str]]
    folder: Path
    suffix: str
    warnings: Callable[[], list[str]]


@dataclass
class AccuracyControl:
    """Tries the range-finding methods, then equalization, then layers in float.

    Attributes:
        tools: How attempts are made and judged.
        best_method: The method that ``auto`` stands for.
        max_drop: Percentage points of top-1 that may be lost; of agreement, where the pictures
            have no labels.
        attempts: All that were made so far.
        failures: What could not be made, measured or ranked, a sentence each; the rest goes on.
        sensitive: Layers, the most sensitive first; empty as long as methods alone may do.
    """

    tools: ControlTools
    best_method: str
    max_drop: float
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)

    def run(self, first: Recipe) -> Attempt:
        """Make attempts until one holds; give that, or else the best.

        Args:
            first: The recipe asked for.

        Raises:
            EdgeferryError: If that recipe cannot be made or measured.
        """
        for recipe in self._candidates(first):
            try:
                attempt = self._attempt(recipe)
            except EdgeferryError as error:
                if not self.attempts:
                    raise
                self.failures.append(f"{described(self._method(recipe), recipe)}: {error}")
                continue
            self.attempts.append(attempt)
            if attempt.holds:
                return attempt
        return self.best()

    def best(self) -> Attempt:
        """The attempt that lost least; of equals the one nearest to the reference."""
        return min(self.attempts, key=lambda each: (each.drop, each.result.kl or 0.0))

    def info(self, attempt: Attempt) -> ControlInfo:
        """What the contract of an attempt's artifact records."""
        return ControlInfo(
            max_drop=self.max_drop,
            drop=attempt.drop,
            measure=self._measure(attempt.result),
            images=attempt.result.images or 0,
            attempts=len(self.attempts),
        )

    def _candidates(self, first: Recipe) -> Iterator[Recipe]:
        yield first
        others = [method for method in METHODS if method != self._method(first)]
        yield from (replace(first, method=method) for method in others)
        self.sensitive = self._ranked(self.best())
        plain = self.best().recipe  # equalized, another method may be the best: ranges are others
        for method in dict.fromkeys((self._method(plain), *METHODS)):
            yield replace(plain, equalize=True, method=method)
        best = self.best()
        layers = self._ranked(best) if best.recipe.equalize else self.sensitive
        for count in _doubling(int(len(layers) * _LARGEST_SHARE)):
            yield replace(best.recipe, float_layers=tuple(layers[:count]))

    def _ranked(self, attempt: Attempt) -> list[str]:
        try:
            return self.tools.rank(attempt.path)
        except EdgeferryError as error:
            self.failures.append(f"the layers cannot be ranked: {error}")
            return []

    def _attempt(self, recipe: Recipe) -> Attempt:
        path = self.tools.folder / f"attempt{len(self.attempts)}{self.tools.suffix}"
        seconds = self.tools.make(recipe, path)
        result = self.tools.judge(path)
        drop = self._drop(result)
        holds = drop <= self.max_drop + 1e-9
        return Attempt(recipe, self._method(recipe), path, result, drop, holds, seconds)

    def _method(self, recipe: Recipe) -> str:
        return self.best_method if recipe.method == AUTO else recipe.method

    def _drop(self, result: Result) -> float:
        if result.top1 is None or self.tools.reference.top1 is None:
            assert result.agreement is not None
            return 100 - result.agreement
        return self.tools.reference.top1 - result.top1

    def _measure(self, result: Result) -> Literal["top1", "agreement"]:
        return "agreement" if result.top1 is None else "top1"


def described(method: str, recipe: Recipe) -> str:
    """How an attempt is made, in a few words.

    Args:
        method: The range-finding method that the recipe comes to.
        recipe: The recipe.
    """
    words = [method]
    if recipe.equalize:
        words.append("equalized")
    if left := recipe.float_layers:
        more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
        words.append(f"in float: {', '.join(left[:NAMED])}{more}")
    return ", ".join(words)


def _doubling(largest: int) -> Iterator[int]:
    """1, 2, 4, ... and at last the largest itself."""
    count = 1
    while count < largest:
        yield count
        count *= 2
    if largest:
        yield largest
